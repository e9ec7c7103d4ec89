//! The socket side: hyper reads requests and writes answers, and connections end as the script says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::rule::{Act, Answer, Delivery, Gate, Reply};
use super::{RECORDED_MAX, Recorded, Shared, control, dialect, lock, record};

/// Largest request: more than sixteen pictures of the largest size that anybody sends.
const REQUEST_BYTES_MAX: usize = 256 << 20;

/// Why hyper is told to give a connection up; what becomes of it stands in its [`Farewell`].
#[derive(Debug, thiserror::Error)]
#[error("end the connection, as the script says")]
struct Ended;

/// How a connection ends once hyper has let go of it.
enum Farewell {
    Close,
    Reset,
    Raw(Bytes),
}

/// Serves until `stopped`.
pub(super) fn run(listener: TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let mut connections = JoinSet::new();
        let mut count = 0;
        tokio::pin!(stopped);
        loop {
            tokio::select! {
                _ = &mut stopped => break,
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    count += 1;
                    connections.spawn(serve(stream, shared.clone(), count));
                },
                Some(_) = connections.join_next() => {}
            }
        }
        // Dropping the set ends every connection, as the end of a process would.
    });
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, connection: u64) {
    // Answers are written whole; waiting for more to send would only add to what benchmarks measure.
    let _ = stream.set_nodelay(true);
    let farewell = Arc::new(Mutex::new(Farewell::Close));
    let service = service_fn(|request| answer(request, shared.clone(), connection, farewell.clone()));
    let mut served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if (&mut served).await.is_ok() {
        return;
    }
    let mut stream = served.into_parts().io.into_inner();
    let farewell = std::mem::replace(&mut *lock(&farewell), Farewell::Close);
    match farewell {
        Farewell::Close => {}
        // Without lingering the system sends a reset instead of an orderly end.
        Farewell::Reset => drop(stream.set_zero_linger()),
        Farewell::Raw(bytes) => {
            // The client may have gone; that it reads garbage is all that is wanted.
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    connection: u64,
    farewell: Arc<Mutex<Farewell>>,
) -> Result<Response<Sent>, Ended> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, REQUEST_BYTES_MAX).collect().await.map_err(|_| Ended)?.to_bytes();
    let content_type = head.headers.get("content-type").and_then(|value| value.to_str().ok());
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let recorded = Arc::new(Recorded {
        number: 0,
        at: shared.began.elapsed(),
        connection,
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: record::query(head.uri.query().unwrap_or_default()),
        body: record::payload(content_type, body),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
    });
    if let Some(reply) = control::answer(&shared, &recorded) {
        return Ok(response(reply, Delivery::Whole));
    }
    let recorded = remember(&shared, recorded);
    let asked = dialect::read(&recorded);
    let prompt = asked.as_ref().map(|asked| asked.prompt.as_str());
    let act = lock(&shared.rules).iter_mut().find_map(|rule| rule.judge(&recorded, prompt));
    let Act { answer, delivery } = act.unwrap_or(Act { answer: Answer::Own, delivery: Delivery::Whole });
    let reply = match answer {
        Answer::Own => dialect::answer(&shared, &recorded, asked).await,
        Answer::Reply(reply) => reply,
        Answer::Lost(reply) => {
            dialect::answer(&shared, &recorded, asked).await;
            reply
        }
    };
    let end = |how| {
        *lock(&farewell) = how;
        Err(Ended)
    };
    match delivery {
        Delivery::Reset => return end(Farewell::Reset),
        Delivery::Closed => return end(Farewell::Close),
        Delivery::Raw(bytes) => return end(Farewell::Raw(bytes)),
        Delivery::Cut(bytes) => return end(Farewell::Raw(cut(&reply, bytes))),
        Delivery::Held(ref gate) => gate.pass().await,
        Delivery::Whole | Delivery::Pieces(..) => {}
    }
    Ok(response(reply, delivery))
}

fn remember(shared: &Shared, mut recorded: Arc<Recorded>) -> Arc<Recorded> {
    let mut list = lock(&shared.recorded);
    // Counted under the list's lock, so that the list is in the order of the numbers.
    let number = shared.requests.fetch_add(1, Ordering::Relaxed) + 1;
    if let Some(recorded) = Arc::get_mut(&mut recorded) {
        recorded.number = number;
    }
    if shared.options.record {
        if list.len() >= RECORDED_MAX {
            list.pop_front();
        }
        list.push_back(recorded.clone());
    }
    recorded
}

/// An answer whose head says its whole length, and whose body ends before that.
fn cut(reply: &Reply, bytes: usize) -> Bytes {
    let mut sent = format!("HTTP/1.1 {} Cut\r\ncontent-length: {}\r\n", reply.status, reply.length()).into_bytes();
    for (name, value) in &reply.headers {
        sent.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    sent.extend_from_slice(b"\r\n");
    let body = reply.body.concat();
    sent.extend_from_slice(&body[..bytes.min(body.len())]);
    sent.into()
}

fn response(reply: Reply, delivery: Delivery) -> Response<Sent> {
    let mut builder = Response::builder().status(reply.status);
    if !reply.headers.iter().any(|(name, _)| name == "content-length") {
        builder = builder.header("content-length", reply.length());
    }
    for (name, value) in &reply.headers {
        builder = builder.header(name.as_str(), value.as_str());
    }
    let body = match delivery {
        Delivery::Pieces(gate, size) => Sent::through(gate, reply.body, size.max(1)),
        _ => Sent::Whole(reply.body.into()),
    };
    builder.body(body).expect("statuses and headers of scripts are valid")
}

/// A body on its way.
enum Sent {
    /// What is left of it.
    Whole(VecDeque<Bytes>),
    /// Pieces that came through a gate.
    Pieces(mpsc::Receiver<Bytes>),
}

impl Sent {
    fn through(gate: Gate, body: Vec<Bytes>, size: usize) -> Self {
        let (pieces, received) = mpsc::channel(1);
        // It ends when the connection does, which drops the receiver, or with the runtime.
        tokio::spawn(async move {
            let mut body = Bytes::from(body.concat());
            while !body.is_empty() {
                let piece = body.split_to(size.min(body.len()));
                let passed = tokio::select! {
                    () = gate.pass() => pieces.send(piece).await.is_ok(),
                    () = pieces.closed() => false,
                };
                if !passed {
                    return;
                }
            }
        });
        Self::Pieces(received)
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = match self.get_mut() {
            Self::Whole(left) => Poll::Ready(left.pop_front()),
            Self::Pieces(received) => received.poll_recv(context),
        };
        next.map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}
