//! One keep-alive HTTP/1.1 connection, as cheap as a client can be, so that the server and not the load is measured.
//!
//! It sends bytes that were built before and reads one answer with a `content-length`; it knows no
//! redirects, no chunks, no TLS and no routes.

use crate::error::Error;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Most headers an answer may have.
const HEADERS_MAX: usize = 32;
/// Longest answer that is read: a batch of a thousand outcomes has well under a megabyte.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// First size of a connection's buffer: a portfolio of 25 rows fits.
const BUFFER_BYTES: usize = 16 << 10;

/// A connection and what was read from it.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, borrowed from the connection's buffer.
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// When the server does not take it.
    pub async fn open(address: SocketAddr) -> Result<Connection, Error> {
        let failed = |why: std::io::Error| Error::Server(format!("cannot connect to {address}: {why}"));
        let stream = TcpStream::connect(address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(BUFFER_BYTES) })
    }

    /// Sends one request and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks or the answer is no HTTP/1.1 with a length.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer<'_>, Error> {
        let broken = |why: std::io::Error| Error::Server(format!("the connection broke: {why}"));
        self.stream.write_all(request).await.map_err(broken)?;
        self.buffer.clear();
        let (status, head, length) = loop {
            if self.stream.read_buf(&mut self.buffer).await.map_err(broken)? == 0 {
                return Err(Error::Server("the server closed the connection".to_owned()));
            }
            if let Some(head) = head_of(&self.buffer)? {
                break head;
            }
        };
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await.map_err(broken)? == 0 {
                return Err(Error::Server("the server closed the connection within an answer".to_owned()));
            }
        }
        Ok(Answer { status, body: &self.buffer[head..head + length] })
    }
}

/// Status, length of the head and length of the body, once the head is whole.
fn head_of(bytes: &[u8]) -> Result<Option<(u16, usize, usize)>, Error> {
    let wrong = |what: &str| Error::Server(format!("not an answer this client reads: {what}"));
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(bytes).map_err(|why| wrong(&why.to_string()))? else {
        return if bytes.len() > BUFFER_BYTES { Err(wrong("a head without end")) } else { Ok(None) };
    };
    let length = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse().ok());
    let length = length.filter(|length| *length <= ANSWER_BYTES_MAX).ok_or_else(|| wrong("no content-length"))?;
    let status = response.code.ok_or_else(|| wrong("no status"))?;
    Ok(Some((status, head, length)))
}

/// A request built once; every sending only writes its key's digits.
#[derive(Clone)]
pub struct Template {
    bytes: Box<[u8]>,
    key_at: usize,
}

/// Digits of a key that changes with every request.
pub const KEY_DIGITS: usize = 16;

impl Template {
    /// A POST whose `Idempotency-Key` is set at each sending.
    pub fn post(path: &str, token: &str, body: &str) -> Template {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\nidempotency-key: "
        );
        let key = "0".repeat(KEY_DIGITS);
        let bytes = format!("{head}{key}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        Template { bytes: bytes.into_bytes().into(), key_at: head.len() }
    }

    /// Writes the request with this key over `out`.
    pub fn write(&self, key: u64, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.bytes);
        write_digits(key, &mut out[self.key_at..self.key_at + KEY_DIGITS]);
    }
}

/// Writes a number in all the digits there are.
pub fn write_digits(mut number: u64, out: &mut [u8]) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A POST under a key of its own.
pub fn post(path: &str, token: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\nidempotency-key: {key}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A GET.
pub fn get(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\n\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_changes_only_its_key() {
        let template = Template::post("/v1/accounts/A/orders", "T", "{}");
        let (mut first, mut second) = (Vec::new(), Vec::new());
        template.write(7, &mut first);
        template.write(1_234_567_890_123_456, &mut second);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ASCII");
        assert!(text(&first).contains("idempotency-key: 0000000000000007\r\ncontent-length: 2\r\n\r\n{}"));
        assert!(text(&second).contains("idempotency-key: 1234567890123456\r\n"));
        assert_eq!(first.len(), second.len());
    }

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(head_of(&answer[..30]).expect("a part"), None);
        assert_eq!(head_of(answer).expect("whole"), Some((201, answer.len() - 2, 2)));
        assert!(head_of(b"HTTP/1.1 200 OK\r\n\r\n").is_err(), "without a length");
    }
}
