//! The client against HTTP/2 over TLS, as providers speak it.

use h2::Reason;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::client::tls::tests::pair;

/// What the server does with a stream, by its turn.
#[derive(Clone, Copy)]
enum Stream {
    Picture,
    /// Turned away before anything was done.
    Refused,
    /// Broken off while something was done.
    Broken,
}

/// A server that does these turns, and how many connections and streams it had.
struct Http2 {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    streams: Arc<AtomicUsize>,
}

async fn serve(tls: rustls::ServerConfig, turns: Vec<Stream>) -> Http2 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Http2 { address, connections: Arc::default(), streams: Arc::default() };
    let (connections, streams) = (server.connections.clone(), server.streams.clone());
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        while let Ok((stream, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::SeqCst);
            let (acceptor, turns, streams) = (acceptor.clone(), turns.clone(), streams.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    let turn = turns[streams.fetch_add(1, Ordering::SeqCst)];
                    tokio::spawn(answer(request.into_body(), respond, turn));
                }
            });
        }
    });
    server
}

async fn answer(mut body: h2::RecvStream, mut respond: h2::server::SendResponse<Bytes>, turn: Stream) {
    match turn {
        Stream::Refused => respond.send_reset(Reason::REFUSED_STREAM),
        Stream::Broken => respond.send_reset(Reason::INTERNAL_ERROR),
        Stream::Picture => {
            let mut read = 0;
            while let Some(Ok(bytes)) = body.data().await {
                read += bytes.len();
                body.flow_control().release_capacity(bytes.len()).unwrap();
            }
            assert!(read > 0, "the whole request is read first");
            let mut stream = respond.send_response(http::Response::new(()), false).unwrap();
            stream.send_data(picture().into(), true).unwrap();
        }
    }
}

async fn ask(client: &Client, server: &Http2) -> Result<Answer, Fault> {
    let endpoint = endpoint(&format!("https://localhost:{}/v1", server.address.port()));
    let nobody = Server::start(Vec::new()).await;
    client.perform(adapter(Protocol::OpenAi).unwrap(), &endpoint, &call(), &Waiting::new(&nobody)).await
}

#[tokio::test]
async fn calls_share_one_connection() {
    let (tls, server) = pair();
    let server = serve(server, vec![Stream::Picture; 9]).await;
    let client = Client::with_tls("thumbforge/test", tls).unwrap();
    ask(&client, &server).await.unwrap();
    let calls = [(); 8].map(|()| ask(&client, &server));
    for answer in futures(calls).await {
        assert_eq!(answer.unwrap().pictures.len(), 1);
    }
    assert_eq!((server.connections.load(Ordering::SeqCst), server.streams.load(Ordering::SeqCst)), (1, 9));
}

/// All of them at once.
async fn futures<F: Future>(futures: [F; 8]) -> Vec<F::Output> {
    let [a, b, c, d, e, f, g, h] = futures;
    let (a, b, c, d, e, f, g, h) = tokio::join!(a, b, c, d, e, f, g, h);
    vec![a, b, c, d, e, f, g, h]
}

#[tokio::test]
async fn a_refused_stream_was_not_begun_and_a_broken_one_may_have_been() {
    for (turn, outcome, billed) in
        [(Stream::Refused, Outcome::Transient, Billed::No), (Stream::Broken, Outcome::Ambiguous, Billed::Unknown)]
    {
        let (tls, server) = pair();
        let server = serve(server, vec![turn, Stream::Picture, Stream::Picture]).await;
        let client = Client::with_tls("thumbforge/test", tls).unwrap();
        let fault = ask(&client, &server).await.unwrap_err();
        assert_eq!((fault.outcome, fault.billed), (outcome, billed), "{}", fault.message);
        assert_eq!(server.streams.load(Ordering::SeqCst), 1, "nothing is sent twice");
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_told_nothing() {
    let (_, server) = pair();
    let server = serve(server, vec![Stream::Picture]).await;
    let fault = ask(&client(), &server).await.unwrap_err();
    assert_eq!((fault.outcome, fault.billed), (Outcome::Transient, Billed::No), "{}", fault.message);
    assert_eq!(server.streams.load(Ordering::SeqCst), 0);
}
