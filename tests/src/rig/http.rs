//! As much HTTP/1.1 as the suites need: one connection that is kept, bodies by length, in chunks or to the end.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// How long one answer may take: a queue of drawings on a slow machine.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// One connection, made again when the server has closed it.
pub struct Client {
    port: u16,
    stream: Option<BufReader<TcpStream>>,
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|err| panic!("{err}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Itself, if it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        let shown: String = self.text().chars().take(400).collect();
        assert_eq!(self.status, status, "{shown}");
        self
    }
}

impl Client {
    /// A client of a server on this machine; it connects when it is first used.
    pub fn new(port: u16) -> Self {
        Self { port, stream: None }
    }

    /// `GET path`.
    ///
    /// # Errors
    /// Whatever ends the connection.
    pub fn get(&mut self, path: &str) -> io::Result<Response> {
        self.send("GET", path, &[], b"")
    }

    /// `POST path` with a JSON body.
    ///
    /// # Errors
    /// Whatever ends the connection.
    pub fn post(&mut self, path: &str, body: &Value) -> io::Result<Response> {
        self.send("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// Any request. `headers` may hold a `Host`; without one it is this machine.
    ///
    /// # Errors
    /// Whatever ends the connection; the next call makes a new one.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Response> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connect(self.port)?,
        };
        write_request(&mut stream, self.port, method, path, headers, body)?;
        let (status, headers) = read_head(&mut stream)?;
        let find = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let closes = find("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let mut body = Vec::new();
        match (find("content-length"), find("transfer-encoding")) {
            (Some(length), _) => {
                body.resize(length.parse().map_err(io::Error::other)?, 0);
                stream.read_exact(&mut body)?;
            }
            (None, Some("chunked")) => while read_chunk(&mut stream, &mut body)? {},
            (None, _) if matches!(status, 204 | 304) => {}
            (None, _) => drop(stream.read_to_end(&mut body)?),
        }
        if !closes {
            self.stream = Some(stream);
        }
        Ok(Response { status, headers, body })
    }

    /// `GET path` as a stream of server-sent events.
    ///
    /// # Errors
    /// Whatever ends the connection.
    pub fn events(port: u16, path: &str) -> io::Result<Events> {
        let mut stream = connect(port)?;
        write_request(&mut stream, port, "GET", path, &[("Accept", "text/event-stream")], b"")?;
        let (status, headers) = read_head(&mut stream)?;
        assert_eq!(status, 200, "{headers:?}");
        Ok(Events { stream, text: Vec::new() })
    }
}

/// A stream of server-sent events.
pub struct Events {
    stream: BufReader<TcpStream>,
    text: Vec<u8>,
}

impl Iterator for Events {
    type Item = (String, Value);

    /// The next event's name and data; `None` once the server ends the stream.
    fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(end) = self.text.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.text.drain(..end + 2).collect();
                let event = String::from_utf8_lossy(&event).into_owned();
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                if let (Some(name), Some(data)) = (field("event:"), field("data:")) {
                    return Some((name.to_owned(), serde_json::from_str(data).expect("events carry JSON")));
                }
                continue;
            }
            if !read_chunk(&mut self.stream, &mut self.text).ok()? {
                return None;
            }
        }
    }
}

fn connect(port: u16) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    Ok(BufReader::new(stream))
}

fn write_request(
    stream: &mut BufReader<TcpStream>,
    port: u16,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<()> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nContent-Length: {}\r\n", body.len());
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        head.push_str(&format!("Host: localhost:{port}\r\n"));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    stream.get_mut().write_all(&bytes)
}

fn read_head(stream: &mut BufReader<TcpStream>) -> io::Result<(u16, Vec<(String, String)>)> {
    let first = read_line(stream)?;
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no status in {first:?}")))?;
    let mut headers = Vec::new();
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

/// Adds a chunk to `body`; false after the last.
fn read_chunk(stream: &mut BufReader<TcpStream>, body: &mut Vec<u8>) -> io::Result<bool> {
    let size = usize::from_str_radix(read_line(stream)?.trim(), 16).map_err(io::Error::other)?;
    let from = body.len();
    body.resize(from + size, 0);
    stream.read_exact(&mut body[from..])?;
    read_line(stream)?;
    Ok(size > 0)
}

fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end_matches(['\r', '\n']).len());
    Ok(line)
}
