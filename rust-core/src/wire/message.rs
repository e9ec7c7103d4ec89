//! Messages of the rings: what is asked, and what becomes of it.

use super::{Reader, WireError, Writer};
use crate::job::{Gate, JobState, Lane};
use crate::limits;
use crate::recipe::Tier;

/// In what form a finished picture comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Deliver {
    /// Not at all; it is in the sidecar's store.
    Nothing = 0,
    /// RGBA8, straight alpha, sRGB, rows from the top.
    #[default]
    Pixels = 1,
    /// The finished PNG file.
    Png = 2,
}

/// A job as a client asks for it; the sidecar makes a `JobSpec` of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Request<'a> {
    /// Name of the asset; empty for a bare prompt.
    pub asset: &'a str,
    /// BCP 47 tag; empty where the picture has no words.
    pub locale: &'a str,
    /// Who waits.
    pub lane: Lane,
    /// Within a lane, higher first.
    pub priority: i32,
    /// Unix time in milliseconds after which nobody wants it.
    pub deadline_ms: Option<u64>,
    /// Whether the built-in engine may stand in for a model that is not there.
    pub placeholder: bool,
    /// Whether a route may drop fields that it cannot honour.
    pub lossy: bool,
    /// What an error of the checks means.
    pub gate: Gate,
    /// Whether the words of the finished picture are to be read back.
    pub read_back: bool,
    /// Share of each side that text keeps clear of.
    pub safe_inset: Option<f64>,
    /// In what form the picture comes.
    pub deliver: Deliver,
    /// What to draw.
    pub recipe: RecipeForm<'a>,
    /// What may be spent on it, and where: [`crate::terms::Terms`] in JSON; empty where nothing is said. It follows what
    /// the first builds sent, and only where there is something: they read requests without it, and refuse one with it,
    /// as they must what they do not understand.
    pub terms: &'a [u8],
}

/// The two ways to say what to draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RecipeForm<'a> {
    /// The few fields that an editor's window has; costs no JSON on the way in.
    Brief(Brief<'a>),
    /// A whole recipe in JSON, as serde has it.
    Json(&'a [u8]),
}

/// A recipe in a few fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Brief<'a> {
    /// What the picture shows.
    pub prompt: &'a str,
    /// What it does not show.
    pub negative: &'a str,
    /// A model or an alias; empty for the router's choice.
    pub model: &'a str,
    /// Words set over it; empty for none.
    pub text: &'a str,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// Draft or final.
    pub tier: Tier,
    /// The seed; derived when absent.
    pub seed: Option<u64>,
    /// Denoising steps.
    pub steps: Option<u32>,
    /// Guidance scale.
    pub guidance: Option<f64>,
}

/// What a client sends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ClientMessage<'a> {
    /// A job.
    Submit {
        /// The client's number for it, from 1, never for two requests of one instance.
        number: u64,
        /// What is asked.
        request: Request<'a>,
    },
    /// Take a job back.
    Cancel {
        /// Its number.
        number: u64,
    },
    /// Keep a file that later recipes name by its content.
    Provide {
        /// A number of its own.
        number: u64,
        /// An absolute path that the sidecar can read.
        path: &'a str,
    },
    /// Give a texture slot back.
    Release(Lent),
    /// Do what the command line can do.
    Command {
        /// A number of its own.
        number: u64,
        /// What to do; JSON that the wire does not look into.
        json: &'a [u8],
    },
}

/// A texture slot that is lent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lent {
    /// Segment by number.
    pub segment: u32,
    /// Slot within it.
    pub slot: u32,
    /// How many times this slot had been lent before.
    pub generation: u64,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Outcome {
    /// There is a picture.
    Done = 1,
    /// There is none.
    Failed = 2,
    /// It was taken back.
    Cancelled = 3,
}

/// What the sidecar sends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ServerMessage<'a> {
    /// Where a job stands.
    Progress {
        /// Its number.
        number: u64,
        /// Its state.
        state: JobState,
        /// Steps drawn.
        step: u32,
        /// Steps in all; 0 where the engine has none.
        steps: u32,
    },
    /// How it ended.
    Completion(Answer<'a>),
}

/// Longest detail of an answer in bytes: what a message has room for beside the fields before it.
pub const DETAIL_BYTES_MAX: usize = limits::MESSAGE_BYTES_MAX - 256;

/// How a request ended, in full.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Answer<'a> {
    /// Its number.
    pub number: u64,
    /// How.
    pub outcome: Outcome,
    /// Number of an [`crate::error::ErrorCode`]; 0 when done.
    pub code: u32,
    /// Tries it took.
    pub attempts: u32,
    /// Whether the picture was there already.
    pub cached: bool,
    /// The seed that was drawn with.
    pub seed: u64,
    /// The realised key; zeros where there is none.
    pub key: [u8; 32],
    /// What it cost in millionths of a US dollar.
    pub cost_micros_usd: u64,
    /// Wall time of drawing, checking and encoding.
    pub latency_ms: u64,
    /// Width and height of the picture in pixels; zeros where there is none.
    pub size: (u32, u32),
    /// What the slot holds.
    pub format: Deliver,
    /// How many bytes of the slot it fills.
    pub bytes: u64,
    /// Where the picture lies.
    pub lent: Option<Lent>,
    /// JSON: `{"render": …}`, `{"failure": …}`, `{"content": …}` or `{"answer": …}`; at most [`DETAIL_BYTES_MAX`].
    pub detail: &'a [u8],
}

fn deliver(value: u8) -> Result<Deliver, WireError> {
    match value {
        0 => Ok(Deliver::Nothing),
        1 => Ok(Deliver::Pixels),
        2 => Ok(Deliver::Png),
        value => Err(WireError::Value { what: "deliver", value: value.into() }),
    }
}

fn write_lent(writer: &mut Writer, lent: Lent) {
    writer.u32(lent.segment);
    writer.u32(lent.slot);
    writer.u64(lent.generation);
}

fn read_lent(reader: &mut Reader<'_>) -> Result<Lent, WireError> {
    Ok(Lent { segment: reader.u32("segment")?, slot: reader.u32("slot")?, generation: reader.u64("generation")? })
}

impl<'a> ClientMessage<'a> {
    /// As a ring's message.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(256);
        match self {
            Self::Submit { number, request } => {
                writer.u8(1);
                writer.u64(*number);
                request.write(&mut writer);
            }
            Self::Cancel { number } => {
                writer.u8(2);
                writer.u64(*number);
            }
            Self::Provide { number, path } => {
                writer.u8(3);
                writer.u64(*number);
                writer.text(path);
            }
            // A ring of its own carries nothing but these, so it needs no kind; see `Lent::decode`.
            Self::Release(lent) => {
                writer.u8(4);
                write_lent(&mut writer, *lent);
            }
            Self::Command { number, json } => {
                writer.u8(5);
                writer.u64(*number);
                writer.block(json);
            }
        }
        writer.into_bytes()
    }

    /// From a ring's message, which must be private memory by now.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8("a message's kind")? {
            1 => Self::Submit { number: reader.u64("number")?, request: Request::read(&mut reader)? },
            2 => Self::Cancel { number: reader.u64("number")? },
            3 => Self::Provide {
                number: reader.u64("number")?,
                path: reader.text(limits::LOCAL_PATH_BYTES_MAX, "path")?,
            },
            4 => Self::Release(read_lent(&mut reader)?),
            5 => Self::Command {
                number: reader.u64("number")?,
                json: reader.block(limits::MESSAGE_BYTES_MAX, "command")?,
            },
            value => return Err(WireError::Value { what: "a message's kind", value: value.into() }),
        };
        reader.end()?;
        Ok(message)
    }
}

impl<'a> Request<'a> {
    fn write(&self, writer: &mut Writer) {
        writer.text(self.asset);
        writer.text(self.locale);
        writer.u8(match self.lane {
            Lane::Interactive => 0,
            Lane::Batch => 1,
        });
        writer.u32(self.priority.cast_unsigned());
        writer.option(self.deadline_ms, Writer::u64);
        let enforce = self.gate == Gate::Enforce;
        for flag in [self.placeholder, self.lossy, enforce, self.read_back] {
            writer.u8(u8::from(flag));
        }
        writer.option(self.safe_inset.map(f64::to_bits), Writer::u64);
        writer.u8(self.deliver as u8);
        match &self.recipe {
            RecipeForm::Brief(brief) => {
                writer.u8(0);
                brief.write(writer);
            }
            RecipeForm::Json(json) => {
                writer.u8(1);
                writer.block(json);
            }
        }
        if !self.terms.is_empty() {
            writer.block(self.terms);
        }
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        let asset = reader.text(limits::LAYER_TEXT_BYTES_MAX, "asset")?;
        let locale = reader.text(limits::LAYER_TEXT_BYTES_MAX, "locale")?;
        let lane = match reader.u8("lane")? {
            0 => Lane::Interactive,
            1 => Lane::Batch,
            value => return Err(WireError::Value { what: "lane", value: value.into() }),
        };
        let priority = reader.u32("priority")?.cast_signed();
        let deadline_ms = reader.option("deadline", |reader| reader.u64("deadline"))?;
        let (placeholder, lossy) = (reader.flag("placeholder")?, reader.flag("lossy")?);
        let gate = if reader.flag("gate")? { Gate::Enforce } else { Gate::Report };
        let read_back = reader.flag("read back")?;
        let safe_inset = reader.option("safe inset", |reader| reader.u64("safe inset").map(f64::from_bits))?;
        let deliver = deliver(reader.u8("deliver")?)?;
        let recipe = match reader.u8("recipe form")? {
            0 => RecipeForm::Brief(Brief::read(reader)?),
            1 => RecipeForm::Json(reader.block(limits::MESSAGE_BYTES_MAX, "recipe")?),
            value => return Err(WireError::Value { what: "recipe form", value: value.into() }),
        };
        let terms = match reader.is_empty() {
            true => &[],
            // What says nothing is left out: there is one way to write a request.
            false => match reader.block(limits::TERMS_BYTES_MAX, "terms")? {
                [] => return Err(WireError::Value { what: "length of terms", value: 0 }),
                terms => terms,
            },
        };
        Ok(Self {
            asset,
            locale,
            lane,
            priority,
            deadline_ms,
            placeholder,
            lossy,
            gate,
            read_back,
            safe_inset,
            deliver,
            recipe,
            terms,
        })
    }
}

impl<'a> Brief<'a> {
    fn write(&self, writer: &mut Writer) {
        for text in [self.prompt, self.negative, self.model, self.text] {
            writer.text(text);
        }
        writer.u32(self.size.0);
        writer.u32(self.size.1);
        writer.u8(match self.tier {
            Tier::Preview => 0,
            Tier::Production => 1,
        });
        writer.option(self.seed, Writer::u64);
        writer.option(self.steps, Writer::u32);
        writer.option(self.guidance.map(f64::to_bits), Writer::u64);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(Self {
            prompt: reader.text(limits::PROMPT_BYTES_MAX, "prompt")?,
            negative: reader.text(limits::PROMPT_BYTES_MAX, "negative prompt")?,
            model: reader.text(limits::LAYER_TEXT_BYTES_MAX, "model")?,
            text: reader.text(limits::LAYER_TEXT_BYTES_MAX, "text")?,
            size: (reader.u32("width")?, reader.u32("height")?),
            tier: match reader.u8("tier")? {
                0 => Tier::Preview,
                1 => Tier::Production,
                value => return Err(WireError::Value { what: "tier", value: value.into() }),
            },
            seed: reader.option("seed", |reader| reader.u64("seed"))?,
            steps: reader.option("steps", |reader| reader.u32("steps"))?,
            guidance: reader.option("guidance", |reader| reader.u64("guidance").map(f64::from_bits))?,
        })
    }
}

impl Lent {
    /// Bytes of a release.
    pub const BYTES: usize = 16;

    /// As a message of the ring that carries nothing but releases.
    pub fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.segment.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.slot.to_le_bytes());
        bytes[8..].copy_from_slice(&self.generation.to_le_bytes());
        bytes
    }

    /// From such a message.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let lent = read_lent(&mut reader)?;
        reader.end()?;
        Ok(lent)
    }
}

impl<'a> ServerMessage<'a> {
    /// As a ring's message.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(256);
        match self {
            Self::Progress { number, state, step, steps } => {
                writer.u8(1);
                writer.u64(*number);
                let at = JobState::ALL.iter().position(|known| known == state).unwrap_or_default();
                writer.u8(at as u8);
                writer.u32(*step);
                writer.u32(*steps);
            }
            Self::Completion(answer) => {
                writer.u8(2);
                answer.write(&mut writer);
            }
        }
        writer.into_bytes()
    }

    /// From a ring's message, which must be private memory by now.
    ///
    /// # Errors
    /// [`WireError`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let message = match reader.u8("a message's kind")? {
            1 => {
                let number = reader.u64("number")?;
                let value = reader.u8("state")?;
                let state = JobState::ALL.get(usize::from(value)).copied();
                Self::Progress {
                    number,
                    state: state.ok_or(WireError::Value { what: "state", value: value.into() })?,
                    step: reader.u32("step")?,
                    steps: reader.u32("steps")?,
                }
            }
            2 => Self::Completion(Answer::read(&mut reader)?),
            value => return Err(WireError::Value { what: "a message's kind", value: value.into() }),
        };
        reader.end()?;
        Ok(message)
    }
}

impl<'a> Answer<'a> {
    fn write(&self, writer: &mut Writer) {
        writer.u64(self.number);
        writer.u8(self.outcome as u8);
        writer.u32(self.code);
        writer.u32(self.attempts);
        writer.u8(u8::from(self.cached));
        writer.u64(self.seed);
        writer.raw(&self.key);
        writer.u64(self.cost_micros_usd);
        writer.u64(self.latency_ms);
        writer.u32(self.size.0);
        writer.u32(self.size.1);
        writer.u8(self.format as u8);
        writer.u64(self.bytes);
        writer.option(self.lent, write_lent);
        writer.block(self.detail);
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(Self {
            number: reader.u64("number")?,
            outcome: match reader.u8("outcome")? {
                1 => Outcome::Done,
                2 => Outcome::Failed,
                3 => Outcome::Cancelled,
                value => return Err(WireError::Value { what: "outcome", value: value.into() }),
            },
            code: reader.u32("code")?,
            attempts: reader.u32("attempts")?,
            cached: reader.flag("cached")?,
            seed: reader.u64("seed")?,
            key: reader.array("key")?,
            cost_micros_usd: reader.u64("cost")?,
            latency_ms: reader.u64("latency")?,
            size: (reader.u32("width")?, reader.u32("height")?),
            format: deliver(reader.u8("format")?)?,
            bytes: reader.u64("bytes")?,
            lent: reader.option("lent", read_lent)?,
            detail: reader.block(limits::MESSAGE_BYTES_MAX, "detail")?,
        })
    }
}
