//! Writes the corpus to start from: one of every message, for each reader. `cargo run --bin seeds` in this folder.

use thumbforge_core::job::{Gate, JobState, Lane};
use thumbforge_core::recipe::Tier;
use thumbforge_core::wire::frame::{Kind, encode};
use thumbforge_core::wire::hello::{Drain, Hello, Refused, Segment, Welcome};
use thumbforge_core::wire::message::{
    Answer, Brief, ClientMessage, Deliver, Lent, Outcome, RecipeForm, Request, ServerMessage,
};

fn main() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    std::fs::create_dir_all(folder).expect("a folder");
    let build = || "0.1.0".to_owned();
    let lent = Lent { segment: 1, slot: 2, generation: 3 };
    let brief = Brief {
        prompt: "a red sword",
        negative: "",
        model: "sd3.5",
        text: "セール",
        size: (512, 256),
        tier: Tier::Preview,
        seed: Some(7),
        steps: None,
        guidance: Some(4.5),
    };
    let request = Request {
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
        recipe: RecipeForm::Brief(brief),
        terms: b"",
    };
    let json = Request { recipe: RecipeForm::Json(b"{}"), deadline_ms: None, safe_inset: None, ..request };
    let answer = Answer {
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
        lent: Some(lent),
        detail: br#"{"render":{}}"#,
    };
    let (project, instance) = ("Game".to_owned(), [7; 16]);
    let hello = Hello { protocol: 1, build: build(), project, instance, pid: 42, shared: true }.encode();
    let welcome = Welcome { protocol: 1, build: build(), pid: 1, ring_bytes: 4096, ticket: 3 }.encode();
    let refused = Refused { code: 25, message: "no".to_owned(), protocol: 1, build: build() }.encode();
    let drain = Drain { build: build() }.encode();
    let segment = Segment { id: 1, slot_bytes: 1 << 20, slots: 8, ticket: 0 }.encode();
    let submit = ClientMessage::Submit { number: 1, request }.encode();
    let completion = ServerMessage::Completion(answer).encode();
    let progress = ServerMessage::Progress { number: 1, state: JobState::Running, step: 3, steps: 28 }.encode();
    let mut pixels = lent.encode().to_vec();
    pixels.extend([1; 16]);
    let mut client = vec![3];
    client.extend(encode(Kind::Hello, &hello));
    client.extend(encode(Kind::Bell, &[]));
    client.extend(encode(Kind::Message, &submit));
    let mut server = vec![7];
    for (kind, payload) in [
        (Kind::Welcome, &welcome),
        (Kind::Segment, &segment),
        (Kind::Pixels, &pixels),
        (Kind::Message, &completion),
        (Kind::Retire, &vec![1, 0, 0, 0]),
    ] {
        server.extend(encode(kind, payload));
    }
    for (name, reader, bytes) in [
        ("client", 0, client),
        ("server", 0, server),
        ("submit", 1, submit),
        ("submit-json", 1, ClientMessage::Submit { number: 2, request: json }.encode()),
        ("cancel", 1, ClientMessage::Cancel { number: u64::MAX }.encode()),
        ("provide", 1, ClientMessage::Provide { number: 3, path: "/art/sword.png" }.encode()),
        ("release", 1, ClientMessage::Release(lent).encode()),
        ("command", 1, ClientMessage::Command { number: 4, json: br#"{"verb":"doctor"}"# }.encode()),
        ("progress", 2, progress),
        ("completion", 2, completion),
        ("completion-bare", 2, ServerMessage::Completion(Answer { lent: None, ..answer }).encode()),
        ("hello", 3, hello),
        ("welcome", 4, welcome),
        ("refused", 5, refused),
        ("drain", 6, drain),
        ("segment", 7, segment),
        ("lent", 8, lent.encode().to_vec()),
    ] {
        let mut input = vec![reader];
        input.extend(bytes);
        std::fs::write(format!("{folder}/{name}"), input).expect("a file");
    }
}
