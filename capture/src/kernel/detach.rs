//! Detaching: the kernel takes some 70 ms per program, a thread waits for it. Never outlives what it detaches.

use std::thread::JoinHandle;

/// Programs being detached; dropping it waits for the end.
pub(crate) struct Detaching(Option<JoinHandle<()>>);

impl Detaching {
    /// Begins. Where no thread can be had, it is done at once.
    pub(crate) fn begin(attached: impl Send + 'static) -> Detaching {
        let thread = std::thread::Builder::new().name("detach".to_string());
        Detaching(thread.spawn(move || drop(attached)).ok())
    }
}

impl Drop for Detaching {
    fn drop(&mut self) {
        if let Some(thread) = self.0.take() {
            // A panic there left nothing attached that the end of the process would not detach.
            let _ = thread.join();
        }
    }
}
