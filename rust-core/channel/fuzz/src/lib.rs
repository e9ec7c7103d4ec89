//! What is held against the readers of the wire, whatever bytes they are given.
//!
//! The first byte says who reads the rest; nothing may panic, and whatever is accepted is written back as the same bytes:
//! there is one way to say a thing, so that no two builds can take it differently.

use thumbforge_core::wire::frame::{Decoder, Kind, encode};
use thumbforge_core::wire::hello::{Drain, Hello, Refused, Segment, Welcome};
use thumbforge_core::wire::message::{ClientMessage, Lent, ServerMessage};

/// Readers, by the first byte of an input.
pub const READERS: u8 = 9;

/// Gives the bytes to their reader.
pub fn read(bytes: &[u8]) {
    let Some((reader, bytes)) = bytes.split_first() else { return };
    match reader % READERS {
        0 => frames(bytes),
        reader => message(reader, bytes),
    }
}

/// Frames come out the same in whatever pieces they go in, and each payload goes to its reader.
fn frames(bytes: &[u8]) {
    let Some((piece, bytes)) = bytes.split_first() else { return };
    let whole = decode(bytes, bytes.len().max(1));
    assert_eq!(whole, decode(bytes, usize::from(*piece).max(1)), "in pieces of {piece}");
    let mut again = Vec::new();
    for (kind, payload) in whole {
        again.extend(encode(kind, &payload));
        let reader = match kind {
            Kind::Bell | Kind::Retire => continue,
            Kind::Message => {
                message(1, &payload);
                2
            }
            Kind::Hello => 3,
            Kind::Welcome => 4,
            Kind::Refused => 5,
            Kind::Drain => 6,
            Kind::Segment => 7,
            Kind::Pixels => 8,
        };
        message(reader, &payload);
    }
    assert!(bytes.starts_with(&again), "frames are written back as they came");
}

fn decode(bytes: &[u8], piece: usize) -> Vec<(Kind, Vec<u8>)> {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    for mut piece in bytes.chunks(piece) {
        loop {
            match decoder.next(&mut piece) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return frames,
            }
        }
    }
    frames
}

fn message(reader: u8, bytes: &[u8]) {
    let again = match reader {
        1 => ClientMessage::decode(bytes).map(|message| message.encode()),
        2 => ServerMessage::decode(bytes).map(|message| message.encode()),
        3 => {
            let head = Hello::head(bytes);
            let hello = Hello::decode(bytes);
            assert!(hello.is_err() || head.is_ok(), "every version can read the head");
            hello.map(|hello| hello.encode())
        }
        4 => Welcome::decode(bytes).map(|welcome| welcome.encode()),
        5 => Refused::decode(bytes).map(|refused| refused.encode()),
        6 => Drain::decode(bytes).map(|drain| drain.encode()),
        7 => Segment::decode(bytes).map(|segment| segment.encode()),
        _ => Lent::decode(bytes).map(|lent| lent.encode().to_vec()),
    };
    if let Ok(again) = again {
        assert_eq!(again, bytes, "there is one way to write it");
    }
}
