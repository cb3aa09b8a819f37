//! Any bytes are a conversation, and every protocol endures it. `fuzz/run` builds and runs it.

#![no_main]

#[path = "../../tests/src/conversation.rs"]
mod conversation;

use conversation::Conversation;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| Conversation::read(data).endure());
