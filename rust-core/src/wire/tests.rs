//! What is written is read back; what no peer writes is refused; version 1 stays as it is.

use proptest::prelude::*;

use super::frame::{Decoder, Kind, encode};
use super::hello::{Drain, Hello, Refused, Segment, Welcome};
use super::message::{
    Answer, Brief, ClientMessage, DETAIL_BYTES_MAX, Deliver, Lent, Outcome, RecipeForm, Request, ServerMessage,
};
use super::*;
use crate::job::{Gate, JobState, Lane};
use crate::limits;
use crate::recipe::Tier;

fn request() -> Request<'static> {
    Request {
        asset: "sword",
        locale: "ja",
        lane: Lane::Interactive,
        priority: -3,
        deadline_ms: Some(1_700_000_000_000),
        placeholder: true,
        lossy: false,
        gate: Gate::Enforce,
        read_back: false,
        safe_inset: Some(0.05),
        deliver: Deliver::Pixels,
        terms: b"",
        recipe: RecipeForm::Brief(Brief {
            prompt: "a red sword",
            negative: "",
            model: "sd3.5",
            text: "セール",
            size: (512, 256),
            tier: Tier::Preview,
            seed: Some(7),
            steps: None,
            guidance: Some(4.5),
        }),
    }
}

fn answer() -> Answer<'static> {
    Answer {
        number: 9,
        outcome: Outcome::Done,
        code: 0,
        attempts: 2,
        cached: false,
        seed: 7,
        key: [5; 32],
        cost_micros_usd: 0,
        latency_ms: 12,
        size: (512, 256),
        format: Deliver::Pixels,
        bytes: 512 * 256 * 4,
        lent: Some(Lent { segment: 1, slot: 2, generation: 3 }),
        detail: br#"{"render":{}}"#,
    }
}

fn hello() -> Hello {
    let (build, project) = ("0.1.0".to_owned(), "Game".to_owned());
    Hello { protocol: PROTOCOL as u16, build, project, instance: [7; 16], pid: 42, shared: true }
}

#[test]
fn messages_come_back_as_they_were() {
    let json = Request { recipe: RecipeForm::Json(b"{}"), deadline_ms: None, ..request() };
    let termed = Request { terms: br#"{"pin":true}"#, ..json };
    for message in [
        ClientMessage::Submit { number: 1, request: request() },
        ClientMessage::Submit { number: 2, request: json },
        ClientMessage::Submit { number: 2, request: termed },
        ClientMessage::Cancel { number: u64::MAX },
        ClientMessage::Provide { number: 3, path: "/art/sword.png" },
        ClientMessage::Release(Lent { segment: 1, slot: 2, generation: 3 }),
        ClientMessage::Command { number: 4, json: br#"{"verb":"doctor"}"# },
        ClientMessage::Command { number: 5, json: b"" },
    ] {
        assert_eq!(ClientMessage::decode(&message.encode()), Ok(message));
    }
    for message in [
        ServerMessage::Progress { number: 1, state: JobState::Running, step: 3, steps: 28 },
        ServerMessage::Completion(answer()),
        ServerMessage::Completion(Answer { lent: None, outcome: Outcome::Cancelled, ..answer() }),
    ] {
        assert_eq!(ServerMessage::decode(&message.encode()), Ok(message));
    }
    let lent = Lent { segment: 9, slot: 8, generation: 7 };
    assert_eq!(Lent::decode(&lent.encode()), Ok(lent));
}

#[test]
fn the_longest_command_and_the_longest_detail_are_read_and_longer_ones_are_not() {
    let longest = vec![b' '; limits::MESSAGE_BYTES_MAX];
    let command = ClientMessage::Command { number: 1, json: &longest };
    assert_eq!(ClientMessage::decode(&command.encode()), Ok(command));
    let termed = |terms| ClientMessage::Submit { number: 1, request: Request { terms, ..request() } }.encode();
    assert!(ClientMessage::decode(&termed(&longest[..limits::TERMS_BYTES_MAX])).is_ok());
    let refused = ClientMessage::decode(&termed(&longest[..=limits::TERMS_BYTES_MAX])).err();
    let (bytes, max) = (limits::TERMS_BYTES_MAX + 1, limits::TERMS_BYTES_MAX);
    assert_eq!(refused, Some(WireError::Long { what: "terms", bytes, max }));
    let longer = vec![b' '; limits::MESSAGE_BYTES_MAX + 1];
    let refused = ClientMessage::decode(&ClientMessage::Command { number: 1, json: &longer }.encode()).err();
    assert_eq!(refused, Some(WireError::Long { what: "command", bytes: longer.len(), max: limits::MESSAGE_BYTES_MAX }));
    let full = ServerMessage::Completion(Answer { detail: &longest[..DETAIL_BYTES_MAX], ..answer() }).encode();
    assert!(full.len() <= limits::MESSAGE_BYTES_MAX, "{} bytes are no message of a ring", full.len());
}

#[test]
fn terms_that_say_nothing_are_left_out() {
    let mut bytes = ClientMessage::Submit { number: 1, request: request() }.encode();
    bytes.extend_from_slice(&0_u32.to_le_bytes());
    assert_eq!(ClientMessage::decode(&bytes).err(), Some(WireError::Value { what: "length of terms", value: 0 }));
}

#[test]
fn the_handshake_comes_back_as_it_was() {
    assert_eq!(Hello::decode(&hello().encode()), Ok(hello()));
    assert_eq!(Hello::head(&hello().encode()), Ok((1, "0.1.0".to_owned())));
    let welcome = Welcome { protocol: 1, build: "0.1.0".to_owned(), pid: 1, ring_bytes: 4096, ticket: 3 };
    assert_eq!(Welcome::decode(&welcome.encode()), Ok(welcome));
    let refused = Refused { code: 25, message: "no".to_owned(), protocol: 1, build: "0.1.0".to_owned() };
    assert_eq!(Refused::decode(&refused.encode()), Ok(refused));
    let drain = Drain { build: "9.0.0".to_owned() };
    assert_eq!(Drain::decode(&drain.encode()), Ok(drain));
    let segment = Segment { id: 1, slot_bytes: 1 << 20, slots: 8, ticket: 0 };
    assert_eq!(Segment::decode(&segment.encode()), Ok(segment));
    let huge = Segment { slots: u32::MAX, ..segment };
    assert!(Segment::decode(&huge.encode()).is_err());
}

/// Bytes of version 1: an editor that is open while its package is upgraded still speaks them.
#[test]
fn version_1_stays_as_it_is() {
    let golden = |name: &str, bytes: &[u8]| {
        let hash = blake3::hash(bytes).to_hex();
        format!("{name} {} {}", bytes.len(), &hash[..16])
    };
    let lines = [
        golden("hello", &hello().encode()),
        golden("submit", &ClientMessage::Submit { number: 1, request: request() }.encode()),
        golden("cancel", &ClientMessage::Cancel { number: 1 }.encode()),
        golden("release", &Lent { segment: 1, slot: 2, generation: 3 }.encode()),
        golden("command", &ClientMessage::Command { number: 1, json: br#"{"verb":"doctor"}"# }.encode()),
        golden("completion", &ServerMessage::Completion(answer()).encode()),
    ];
    assert_eq!(lines.join("\n"), include_str!("golden-v1.txt").trim_end());
}

#[test]
fn frames_come_whole_from_any_pieces() {
    let mut stream = encode(Kind::Bell, &[]);
    stream.extend(encode(Kind::Hello, &hello().encode()));
    stream.extend(encode(Kind::Bell, &[]));
    stream.extend(encode(Kind::Message, &[1, 2, 3]));
    for piece in 1..stream.len() {
        let (mut decoder, mut kinds) = (Decoder::default(), Vec::new());
        for mut input in stream.chunks(piece) {
            while let Some((kind, payload)) = decoder.next(&mut input).expect("frames") {
                kinds.push((kind, payload.len()));
            }
        }
        let hello = hello().encode().len();
        assert_eq!(kinds, [(Kind::Bell, 0), (Kind::Hello, hello), (Kind::Bell, 0), (Kind::Message, 3)]);
    }
}

#[test]
fn a_frame_that_claims_too_much_is_refused_at_its_head() {
    let mut input: &[u8] = &[Kind::Hello as u8, 0xff, 0xff, 0xff, 0xff];
    assert!(matches!(Decoder::default().next(&mut input), Err(WireError::Long { .. })));
    let mut input: &[u8] = &[200];
    assert!(matches!(Decoder::default().next(&mut input), Err(WireError::Value { .. })));
}

proptest! {
    #[test]
    fn no_bytes_bring_a_reader_down(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = ClientMessage::decode(&bytes);
        let _ = ServerMessage::decode(&bytes);
        let _ = Hello::decode(&bytes);
        let _ = Welcome::decode(&bytes);
        let _ = Refused::decode(&bytes);
        let _ = Drain::decode(&bytes);
        let _ = Segment::decode(&bytes);
        let _ = Lent::decode(&bytes);
        let (mut decoder, mut input) = (Decoder::default(), &bytes[..]);
        while let Ok(Some(_)) = decoder.next(&mut input) {}
    }

    #[test]
    fn a_message_cut_short_or_with_a_bit_turned_is_read_or_refused(at in 0_usize..200, bit in 0_u8..8, cut in 0_usize..200) {
        let submit = ClientMessage::Submit { number: 1, request: request() };
        let command = ClientMessage::Command { number: 1, json: br#"{"verb":"preview","file":"/art/sword.png"}"# };
        for whole in [submit.encode(), command.encode()] {
            prop_assert!(ClientMessage::decode(&whole[..cut.min(whole.len() - 1)]).is_err());
            let mut turned = whole.clone();
            let at = at % whole.len();
            turned[at] ^= 1 << bit;
            let _ = ClientMessage::decode(&turned);
        }
    }
}
