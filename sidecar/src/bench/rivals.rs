//! What people would wire together: an HTTP server and client, and a length and bytes over a bare socket.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path as UrlPath;
use axum::routing::get;
use thumbforge_core::error::Failure;

use super::failed;

#[cfg(unix)]
type Socket = std::os::unix::net::UnixStream;
#[cfg(not(unix))]
type Socket = std::net::TcpStream;

/// Answers `GET /{bytes}` with as many of `payload` until the process's input ends.
pub(super) fn serve_http(payload: &[u8], started: impl FnOnce(u16)) -> Result<(), Failure> {
    let payload = Bytes::copy_from_slice(payload);
    let refused = |err: io::Error| failed(format!("serve HTTP: {err}"));
    let runtime = runtime().map_err(refused)?;
    runtime.block_on(async {
        let answer = async move |UrlPath(bytes): UrlPath<usize>| payload.slice(..bytes.min(payload.len()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.map_err(refused)?;
        started(listener.local_addr().map_err(refused)?.port());
        let app = Router::new().route("/{bytes}", get(answer));
        let over = async {
            let _ = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink())).await;
        };
        tokio::select! {
            served = async { axum::serve(listener, app).await } => served.map_err(refused),
            () = over => Ok(()),
        }
    })
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// A client that keeps its connection.
pub(super) struct Http {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    port: u16,
}

impl Http {
    pub(super) fn new(port: u16) -> Result<Self, Failure> {
        let runtime = runtime().map_err(|err| failed(format!("start a runtime: {err}")))?;
        let client = thumbforge_hosted::client::bare().map_err(|err| failed(err.to_string()))?;
        let client = client.tcp_nodelay(true).build();
        Ok(Self { runtime, client: client.map_err(|err| failed(format!("start a client: {err}")))?, port })
    }

    pub(super) fn fetch(&self, bytes: usize) -> Result<u64, Failure> {
        let url = format!("http://127.0.0.1:{}/{bytes}", self.port);
        let body = self.runtime.block_on(async { self.client.get(url).send().await?.bytes().await });
        match body {
            Ok(body) if body.len() == bytes => Ok(body.len() as u64),
            Ok(body) => Err(failed(format!("get {bytes} bytes over HTTP: {} came", body.len()))),
            Err(err) => Err(failed(format!("get a picture over HTTP: {err}"))),
        }
    }
}

/// Answers a length with as many bytes, on a thread for each client.
pub(super) fn serve_bare(folder: &Path, payload: Arc<[u8]>) -> Result<(), Failure> {
    let refused = |err: io::Error| failed(format!("serve a bare socket: {err}"));
    #[cfg(unix)]
    let listener = std::os::unix::net::UnixListener::bind(folder.join("bare.sock")).map_err(refused)?;
    #[cfg(not(unix))]
    let listener = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(refused)?;
        let port = listener.local_addr().map_err(refused)?.port();
        std::fs::write(folder.join("bare.port"), port.to_string()).map_err(refused)?;
        listener
    };
    // The thread ends with the process.
    let accept = move || {
        for stream in listener.incoming().flatten() {
            let payload = payload.clone();
            std::thread::spawn(move || answer_bare(stream, &payload));
        }
    };
    std::thread::Builder::new().spawn(accept).map(drop).map_err(refused)
}

fn answer_bare(mut stream: Socket, payload: &[u8]) -> io::Result<()> {
    loop {
        let mut head = [0; 8];
        stream.read_exact(&mut head)?;
        let bytes = (u64::from_le_bytes(head) as usize).min(payload.len());
        stream.write_all(&(bytes as u64).to_le_bytes())?;
        stream.write_all(&payload[..bytes])?;
    }
}

/// The asking end, with a buffer that it keeps.
pub(super) struct BareSocket {
    stream: Socket,
    buffer: Vec<u8>,
}

impl BareSocket {
    pub(super) fn connect(folder: &Path) -> Result<Self, Failure> {
        let refused = |err: io::Error| failed(format!("connect to a bare socket: {err}"));
        #[cfg(unix)]
        let stream = Socket::connect(folder.join("bare.sock")).map_err(refused)?;
        #[cfg(not(unix))]
        let stream = {
            let port = std::fs::read_to_string(folder.join("bare.port")).map_err(refused)?;
            Socket::connect(format!("127.0.0.1:{port}")).map_err(refused)?
        };
        Ok(Self { stream, buffer: Vec::new() })
    }

    pub(super) fn fetch(&mut self, bytes: usize) -> Result<u64, Failure> {
        let refused = |err: io::Error| failed(format!("get a picture over a bare socket: {err}"));
        self.stream.write_all(&(bytes as u64).to_le_bytes()).map_err(refused)?;
        let mut head = [0; 8];
        self.stream.read_exact(&mut head).map_err(refused)?;
        self.buffer.resize(bytes, 0);
        self.stream.read_exact(&mut self.buffer).map_err(refused)?;
        Ok(u64::from_le_bytes(head))
    }
}
