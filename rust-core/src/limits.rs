//! Every bound of the system, each with its reason.
//!
//! A bound that two places need stands here once; the `const` asserts hold those that depend on each other.

/// Smallest side of an image in pixels: below it neither text nor a subject can be made out.
pub const SIDE_MIN: u32 = 16;
/// Largest side of an image in pixels: the largest texture that Unity imports on every platform it targets.
pub const SIDE_MAX: u32 = 4096;
/// Longest prompt in bytes: ten times what any text encoder reads, and small enough to journal 10,000 of.
pub const PROMPT_BYTES_MAX: usize = 16 * 1024;
/// Longest text of one layer in bytes: more than fits on a thumbnail at the smallest size.
pub const LAYER_TEXT_BYTES_MAX: usize = 2 * 1024;
/// Most text layers of one recipe: each is shaped and checked pairwise.
pub const LAYERS_MAX: usize = 16;
/// Most pictures drawn for one job, and most repairs that its terms list: each costs as much as the first.
pub const REPAIRS_MAX: usize = 16;
/// Largest seed: the largest integer that JSON readers in every language keep exactly, 2^53 - 1.
pub const SEED_MAX: u64 = (1 << 53) - 1;
/// Most adapters (LoRA files) of one recipe.
pub const ADAPTERS_MAX: usize = 8;
/// Most pictures that one edit looks at: what the most generous provider takes.
pub const EDIT_IMAGES_MAX: usize = 16;
/// Most models that one job may be tried on: more fallbacks than anybody writes down, few enough to explain.
pub const FALLBACKS_MAX: usize = 16;
/// Most budgets that one job counts against: each is a row that is changed before every call.
pub const BUDGETS_MAX: usize = 32;
/// Most model rows of a project's own; the built-in catalogue has about 50.
pub const OWN_MODELS_MAX: usize = 256;
/// Largest model catalogue, settings or quality file in bytes: hundreds of models at length.
pub const CATALOGUE_BYTES_MAX: usize = 4 << 20;
/// Most accounts of one machine: each has a gate of its own in the dispatcher.
pub const ACCOUNTS_MAX: usize = 256;
/// Largest picture in bytes that a provider may send: a 4096×4096 PNG of noise is 64 MiB, and base64 adds a third.
pub const ANSWER_BYTES_MAX: usize = 96 << 20;
/// Largest manifest in bytes: 100,000 assets written out at length.
pub const MANIFEST_BYTES_MAX: usize = 64 << 20;
/// Largest string table in bytes: 100,000 keys in ten locales.
pub const STRINGS_BYTES_MAX: usize = 64 << 20;
/// Largest tier file in bytes: it has two rows.
pub const TIER_FILE_BYTES_MAX: usize = 1 << 20;
/// Largest prompt file in bytes: 100,000 prompts of the length that text encoders read.
pub const PROMPT_FILE_BYTES_MAX: usize = 64 << 20;
/// Largest lock file in bytes: a million outputs.
pub const LOCK_BYTES_MAX: usize = 512 << 20;
/// Most nodes of an XML file: what its size allows in practice, against files made to eat memory.
pub const XML_NODES_MAX: u32 = 8_000_000;
/// Largest approvals file in bytes: a million decisions of the usual length.
pub const APPROVALS_BYTES_MAX: usize = 256 << 20;
/// Longest field of a decision in bytes: a note is a sentence, not a review.
pub const APPROVAL_FIELD_BYTES_MAX: usize = 1024;
/// Longest path of an output or input in bytes; with a project's own folder it must be openable on Windows.
pub const PATH_BYTES_MAX: usize = 400;
/// Longest part of a path in bytes: file systems end at 255, and a temporary name needs room for its suffix.
pub const PATH_PART_BYTES_MAX: usize = 200;
/// Most images of one plan: ten times the largest project we measure.
pub const IMAGES_MAX: usize = 1_000_000;

/// Largest art, font or adapter file in bytes: a LoRA of a large model.
pub const INPUT_BYTES_MAX: usize = 2 << 30;
/// Most jobs that are open at once: a studio's nightly locale run ten times over; each costs about 200 bytes of memory.
pub const OPEN_JOBS_MAX: usize = 100_000;
/// Most events on their way to the dispatcher; senders wait beyond it, since each is answered in microseconds.
pub const DISPATCH_EVENTS_MAX: usize = 1024;
/// Most writes gathered into one durable transaction: past it a commit takes longer than the fsync it saves.
pub const GROUP_COMMIT_MAX: usize = 512;
/// Most writes waiting for the journal's thread; submitters beyond it wait, which is what slows them to the disk's pace.
pub const JOURNAL_QUEUE_MAX: usize = 4096;
/// Times that a job may be found in flight after the process died before it is held to be what kills the process.
pub const CRASHES_MAX: u32 = 8;
/// Most events that a slow listener of job events may lag behind before it is told to catch up.
pub const LISTENER_LAG_MAX: usize = 1024;
/// Longest HTTP body in bytes: a 4096×4096 RGBA picture in base64 and a mask beside it.
pub const BODY_BYTES_MAX: usize = 192 << 20;
/// Longest body of a request that carries no picture.
pub const TEXT_BODY_BYTES_MAX: usize = 1 << 20;
/// HTTP requests a second that one sidecar answers, with [`HTTP_BURST`] at once: far above any editor, far below a busy loop.
pub const HTTP_PER_SECOND: u32 = 2000;
/// Requests that may come at once.
pub const HTTP_BURST: u32 = 4000;
/// Most pictures of one call of a local model: the case studies ask for 50, and memory is what bounds a call first.
pub const IMAGES_PER_CALL_MAX: u32 = 64;
/// Most pictures of the local engine that are on their way at once: a whole call, and the next one's share being set up.
pub const MODEL_SLOTS: usize = 64;
/// Most pictures of one `/v1/images/generations` request, as the original has it.
pub const IMAGES_PER_REQUEST_MAX: u32 = 10;
/// Default size of the store in bytes: about 20,000 finished thumbnails.
pub const STORE_BYTES_DEFAULT: u64 = 10 << 30;
/// Ended jobs that the journal keeps: some years of a studio's builds in about 500 MB; older ones are forgotten at a start.
pub const JOBS_KEPT_MAX: u64 = 1_000_000;
/// Ways to repaired pictures that the journal keeps: five times the thumbnails of a full store, in about 50 MB.
pub const WAYS_KEPT_MAX: u64 = 100_000;
/// Most rows that a listing of jobs returns at once.
pub const LISTING_MAX: usize = 1000;

/// Longest project name of a handshake in bytes: a path of any system.
pub const PROJECT_BYTES_MAX: usize = 4096;
/// Largest handshake in bytes: a project's name and a sentence.
pub const HELLO_BYTES_MAX: usize = 16 << 10;
/// Longest absolute path of this machine in bytes, as Linux has it.
pub const LOCAL_PATH_BYTES_MAX: usize = 4096;
/// Largest message of a ring in bytes: a recipe with every layer at its longest and escaped, four times the usual worst.
pub const MESSAGE_BYTES_MAX: usize = 192 << 10;
/// Longest terms of a job in bytes, as JSON: a policy, sixteen models of a project's own and their prices.
pub const TERMS_BYTES_MAX: usize = 64 << 10;
/// Largest texture slot in bytes: 4096×4096 RGBA8, with room for a PNG that noise made larger than its pixels.
pub const SLOT_BYTES_MAX: usize = 66 << 20;
/// Most texture memory in bytes that is lent to one connection at once: two of the largest pictures beside 100 thumbnails.
/// Segments that are lent in part hold more, which only a client that picks what it gives back can drive far.
pub const TEXTURE_BYTES_MAX: usize = 256 << 20;
/// Texture memory in bytes that a connection keeps for the next pictures; what is free beyond it goes back to the system.
pub const TEXTURE_KEEP_BYTES: usize = 64 << 20;
/// Most requests of one connection that have no answer yet, or whose answer nobody has fetched.
pub const IN_FLIGHT_MAX: usize = 8192;
/// Most clients of one sidecar: each costs a thread and a mebibyte; far above the editors that one person runs.
pub const CLIENTS_MAX: usize = 64;

const _: () = assert!(PATH_PART_BYTES_MAX < 255 && PATH_PART_BYTES_MAX < PATH_BYTES_MAX);
const _: () = assert!(SIDE_MIN < SIDE_MAX);
const _: () = assert!(IMAGES_PER_CALL_MAX as usize <= MODEL_SLOTS);
const _: () = assert!(BODY_BYTES_MAX > (SIDE_MAX as usize * SIDE_MAX as usize * 4) / 3 * 4 * 2);
const _: () = assert!(LAYERS_MAX * LAYER_TEXT_BYTES_MAX < 1 << 20);
const _: () = assert!(IN_FLIGHT_MAX * 8 < OPEN_JOBS_MAX);
const _: () =
    assert!(SLOT_BYTES_MAX >= SIDE_MAX as usize * SIDE_MAX as usize * 4 && SLOT_BYTES_MAX <= TEXTURE_BYTES_MAX);
const _: () =
    assert!(MESSAGE_BYTES_MAX > 2 * PROMPT_BYTES_MAX + 2 * LAYERS_MAX * LAYER_TEXT_BYTES_MAX + TERMS_BYTES_MAX);
const _: () = assert!(HELLO_BYTES_MAX > 2 * PROJECT_BYTES_MAX);
