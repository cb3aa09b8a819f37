//! Service C of the testbed's mesh: an HTTP service of many tasks on two threads (tokio), before postgres. It logs each request as
//! `testbed/services/spans.py` does. Never waits on a timer unless it is told to, and never puts an id into a statement.

use anyhow::{Context, Result};
use clap::Parser;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use nix::time::ClockId;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How long a query may take, in milliseconds, each as likely as the others.
const SLOWNESS_MS: &[f64] = &[0.0, 0.0, 1.0, 3.0, 6.0, 12.0, 25.0, 50.0];

/// A price list behind HTTP, for the testbed.
#[derive(Parser)]
struct Arguments {
    /// Where to log spans.
    #[arg(long)]
    truth: PathBuf,
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// Where postgres is.
    #[arg(long)]
    postgres: SocketAddr,
    /// How many requests at once the load sends.
    #[arg(long)]
    concurrency: u32,
    /// Of chance.
    #[arg(long)]
    seed: u64,
    /// How many times as long as usual queries take.
    #[arg(long)]
    stretch: f64,
    /// The mean of a wait before half of the calls, in seconds; 0: none.
    #[arg(long, default_value_t = 0.0)]
    timer: f64,
    /// Processor time that each request takes beside all else, in seconds.
    #[arg(long, default_value_t = 0.0)]
    burn: f64,
}

/// A connection to postgres and its socket's own address.
struct Connection {
    client: tokio_postgres::Client,
    local: SocketAddr,
}

struct Service {
    postgres: SocketAddr,
    idle: Mutex<Vec<Connection>>,
    free: Semaphore,
    chance: Mutex<u64>,
    stretch: f64,
    timer_s: f64,
    burn_s: f64,
    truth: Mutex<File>,
}

/// A lent connection; it goes back when dropped.
struct Lent<'a> {
    service: &'a Service,
    connection: Option<Connection>,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        lock(&self.service.idle).extend(self.connection.take());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ns() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}

impl Service {
    /// A number in 0..1, from the seed (splitmix64).
    fn draw(&self) -> f64 {
        let mut state = lock(&self.chance);
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn new_id(&self) -> String {
        format!("{:016x}", (self.draw() * 2_f64.powi(53)) as u64 ^ now_ns() as u64)
    }

    /// What leaves no trace: only where the profile says so, half of the times.
    async fn pause(&self) {
        if self.timer_s > 0.0 && self.draw() < 0.5 {
            let wait_s = -(1.0 - self.draw()).ln() * self.timer_s;
            tokio::time::sleep(Duration::from_secs_f64(wait_s)).await;
        }
    }

    fn spin(&self, most_ms: f64) {
        let end = Instant::now() + Duration::from_micros((self.draw() * most_ms * 1000.0) as u64);
        while Instant::now() < end {}
    }

    /// Takes so much of the processor, however long that takes.
    fn burn(&self) {
        let now = || nix::time::clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
        let Ok(begin) = now() else { return };
        while now().is_ok_and(|at| at.saturating_sub(begin).as_secs_f64() < self.burn_s) {}
    }

    fn slowness_s(&self) -> f64 {
        let at = (self.draw() * SLOWNESS_MS.len() as f64) as usize;
        SLOWNESS_MS[at.min(SLOWNESS_MS.len() - 1)] * self.stretch / 1000.0
    }

    /// Fewer connections than requests: some wait.
    async fn lend(&self) -> Result<Lent<'_>> {
        let permit = self.free.acquire().await?;
        let kept = lock(&self.idle).pop();
        let connection = match kept {
            Some(connection) => connection,
            None => self.dial().await?,
        };
        Ok(Lent { service: self, connection: Some(connection), _permit: permit })
    }

    async fn dial(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.postgres).await?;
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        let mut config = tokio_postgres::Config::new();
        config.user("postgres").dbname("postgres");
        let (client, connection) = config.connect_raw(stream, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(Connection { client, local })
    }

    /// One statement: one round trip.
    async fn ask(&self, lent: &Lent<'_>, calls: &Mutex<Vec<Value>>, statement: &str) -> Result<()> {
        let connection = lent.connection.as_ref().context("it is there until it is dropped")?;
        let started = now_ns();
        connection.client.simple_query(statement).await?;
        let ended = now_ns();
        let mut calls = lock(calls);
        let order = calls.len();
        calls.push(json!({
            "call_id": self.new_id(), "order": order, "protocol": "postgres",
            "operation": statement.split(' ').next(), "resource": statement, "step": "QUERY",
            "local": connection.local.to_string(), "remote": self.postgres.to_string(),
            "t_start_ns": started as u64, "t_sent_ns": started as u64, "t_end_ns": ended as u64,
        }));
        Ok(())
    }

    async fn look(&self, calls: &Mutex<Vec<Value>>, columns: &str, item: u32) -> Result<()> {
        self.pause().await;
        let slow = self.slowness_s();
        let lent = self.lend().await?;
        let statement =
            format!("SELECT {columns} FROM items, pg_sleep({slow:.4}) WHERE id = {item}");
        self.ask(&lent, calls, &statement).await
    }

    /// What an item costs: one to three queries, now and then two at once.
    async fn price(&self, calls: &Mutex<Vec<Value>>, item: u32) -> Result<()> {
        self.look(calls, "name", item).await?;
        self.spin(0.4);
        if self.draw() < 0.3 {
            let both = tokio::join!(
                self.look(calls, "stock", item),
                self.look(calls, "description", item)
            );
            both.0?;
            both.1?;
        } else if self.draw() < 0.5 {
            self.look(calls, "stock, description", item).await?;
        }
        Ok(())
    }

    /// A transaction on one connection.
    async fn reserve(&self, calls: &Mutex<Vec<Value>>, item: u32) -> Result<()> {
        self.pause().await;
        let lent = self.lend().await?;
        self.ask(&lent, calls, "BEGIN").await?;
        let insert = format!("INSERT INTO orders (item, quantity) VALUES ({item}, 1)");
        self.ask(&lent, calls, &insert).await?;
        self.ask(&lent, calls, "COMMIT").await
    }

    async fn serve(
        self: Arc<Service>,
        request: Request<Incoming>,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Result<Response<Full<Bytes>>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let (read, thread_read) = (now_ns(), nix::unistd::gettid().as_raw());
        let calls = Mutex::new(Vec::new());
        self.spin(0.5);
        if self.burn_s > 0.0 {
            self.burn();
        }
        let answered = match head.uri.path().strip_prefix("/price/").map(str::parse) {
            Some(Ok(item)) => self.price(&calls, item).await,
            _ => {
                let item = serde_json::from_slice::<Value>(&body)?["item"].as_u64().unwrap_or(1);
                self.reserve(&calls, item as u32).await
            }
        };
        let status = match &answered {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let header = |name| head.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("");
        let response = Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .header("cache-control", "max-age=2")
            .body(Full::from(r#"{"price": 105}"#))?;
        let row = json!({
            "service": "C", "request_id": header("x-request-id"), "parent_call_id": header("x-testbed-span"),
            "span_id": self.new_id(), "method": head.method.as_str(), "path": head.uri.path(), "status": status.as_u16(),
            "pid": std::process::id(), "thread": thread_read, "thread_write": nix::unistd::gettid().as_raw(),
            "local": local.to_string(), "peer": peer.to_string(), "error": answered.err().map(|error| error.to_string()),
            "t_read_after_ns": read as u64, "t_write_before_ns": now_ns() as u64,
            "calls": calls.into_inner().unwrap_or_else(PoisonError::into_inner),
        });
        lock(&self.truth).write_all(format!("{row}\n").as_bytes())?;
        Ok(response)
    }
}

async fn listen(service: Arc<Service>, at: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(at).await?;
    loop {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (service, local) = (service.clone(), stream.local_addr()?);
        tokio::spawn(async move {
            let serve = service_fn(|request| service.clone().serve(request, local, peer));
            let http = hyper::server::conn::http1::Builder::new();
            // A connection that ends badly is the other side's business.
            let _ = http.serve_connection(TokioIo::new(stream), serve).await;
        });
    }
}

fn main() -> Result<()> {
    let given = Arguments::parse();
    let truth = File::options().append(true).create(true).open(&given.truth)?;
    let service = Arc::new(Service {
        postgres: given.postgres,
        idle: Mutex::default(),
        free: Semaphore::new((given.concurrency as usize).div_ceil(2)),
        chance: Mutex::new(given.seed ^ 0xC),
        stretch: given.stretch,
        timer_s: given.timer,
        burn_s: given.burn,
        truth: Mutex::new(truth),
    });
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(listen(service, given.listen))
}
