//! Bodies of requests as bytes.

use std::hash::{BuildHasher, Hasher, RandomState};

use bytes::Bytes;

use crate::adapter::{Body, Part, PartContent};

/// The type of a body, and its bytes.
pub(super) fn encode(body: &Body) -> (Option<String>, Bytes) {
    match body {
        Body::None => (None, Bytes::new()),
        Body::Json(value) => (Some("application/json".to_owned()), value.to_string().into()),
        Body::Multipart(parts) => {
            let boundary = boundary();
            (Some(format!("multipart/form-data; boundary={boundary}")), form(parts, &boundary).into())
        }
    }
}

/// A line that no part contains: 128 bits that are drawn anew for each process and turn, so that no prompt can hold it.
fn boundary() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("thumbforge-{:016x}{:016x}", random(), random())
}

/// A form as RFC 7578 has it.
fn form(parts: &[Part], boundary: &str) -> Vec<u8> {
    let room = |part: &Part| match &part.content {
        PartContent::Text(text) => text.len(),
        PartContent::File { bytes, .. } => bytes.len(),
    };
    let mut form = Vec::with_capacity(parts.iter().map(|part| room(part) + 300).sum::<usize>() + 100);
    for part in parts {
        form.extend_from_slice(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(&part.name)).as_bytes(),
        );
        let content = match &part.content {
            PartContent::Text(text) => {
                form.extend_from_slice(b"\r\n\r\n");
                text.as_bytes()
            }
            PartContent::File { file_name, mime, bytes } => {
                let head = format!("; filename=\"{}\"\r\nContent-Type: {}\r\n\r\n", quoted(file_name), quoted(mime));
                form.extend_from_slice(head.as_bytes());
                bytes
            }
        };
        form.extend_from_slice(content);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    form
}

/// A name within quotes, escaped as browsers do (WHATWG, "multipart/form-data encoding algorithm").
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_written_to_the_byte() {
        let file = PartContent::File {
            file_name: "a\"b.png".to_owned(),
            mime: "image/png".to_owned(),
            bytes: Bytes::from_static(b"\x89PNG\r\n--x"),
        };
        let parts = [
            Part { name: "prompt".to_owned(), content: PartContent::Text("a\r\nfox".to_owned()) },
            Part { name: "image".to_owned(), content: file },
        ];
        let expected = b"--x\r\nContent-Disposition: form-data; name=\"prompt\"\r\n\r\na\r\nfox\r\n\
            --x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a%22b.png\"\r\nContent-Type: image/png\r\n\r\n\
            \x89PNG\r\n--x\r\n--x--\r\n";
        assert_eq!(form(&parts, "x"), expected);
    }

    #[test]
    fn no_two_forms_have_one_boundary() {
        assert_ne!(boundary(), boundary());
        let (kind, bytes) = encode(&Body::Multipart(Vec::new()));
        let line = kind.unwrap().split_once("boundary=").unwrap().1.to_owned();
        assert_eq!(bytes, format!("--{line}--\r\n"));
    }
}
