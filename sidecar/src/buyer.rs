//! The buyer: carries one call to a provider out, from a route to art in the store and a price.
//!
//! It retries nothing and decides nothing: what happened goes back to the dispatcher, which does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use thumbforge_core::error::{ErrorCode, Failure, chain};
use thumbforge_core::id::{ContentHash, JobId, RealisedKey};
use thumbforge_core::image::ImageBuf;
use thumbforge_core::job::{JobSpec, Outcome, Purchase, Route};
use thumbforge_core::model::ModelRow;
use thumbforge_core::money::Micros;
use thumbforge_core::recipe::Recipe;
use thumbforge_hosted::adapter::adapter;
use thumbforge_hosted::call::Answer;
use thumbforge_hosted::client::{Client, Watch};
use thumbforge_hosted::translate::translate;
use thumbforge_hosted::{Adapter, Billed, Call, Endpoint, Fault, Range, Usage};
use tokio_util::sync::CancellationToken;

use crate::compose::masked;
use crate::dispatch::Called;
use crate::journal::Journal;
use crate::journal::ledger::{self, Bought, Settled};
use crate::market::{Market, Shelf, keys};
use crate::output::png::{self, DecodeLimits};
use crate::output::provenance::Provenance;
use crate::store::Store;

pub use fresh::Fresh;

mod fresh;

/// Buys art.
pub struct Buyer {
    client: Client,
    journal: Journal,
    store: Store,
    shelf: Arc<Shelf>,
    fresh: Arc<Fresh>,
}

/// One call.
#[derive(Debug, Clone)]
pub struct Order {
    /// The job that it is for.
    pub job: JobId,
    /// Which attempt of it.
    pub attempt: u32,
    /// What was asked.
    pub spec: JobSpec,
    /// Where it goes; with a purchase.
    pub route: Route,
    /// The key that its art gets.
    pub art: RealisedKey,
    /// The provider's name for the call, when it was made before and is asked after.
    pub known_as: Option<String>,
}

impl Buyer {
    /// A buyer from the accounts of `shelf`, whose art goes into `store`.
    ///
    /// # Errors
    /// Why there is no way to reach providers.
    pub fn new(journal: Journal, store: Store, shelf: Arc<Shelf>, fresh: Arc<Fresh>) -> Result<Self, Failure> {
        let identity = concat!("thumbforge/", env!("CARGO_PKG_VERSION"));
        let client = Client::new(identity)
            .map_err(|err| Failure::new(ErrorCode::Internal, format!("failed to {}", chain(&err))))?;
        Ok(Self { client, journal, store, shelf, fresh })
    }

    /// Carries `order` out. Raising `cancelled` ends it early; what was sent may be billed all the same.
    pub async fn buy(&self, order: Order, cancelled: CancellationToken) -> Called {
        let began = Instant::now();
        let Some(purchase) = order.route.purchase.clone() else {
            return failed(Fault::new(Outcome::BadRequest, "buy a picture: its route has no account"), None, 0, None);
        };
        let mut key_id = String::new();
        let result = self.carry_out(&order, &purchase, cancelled, &mut key_id).await;
        let latency_ms = began.elapsed().as_millis() as u64;
        let mut called = match result {
            Ok((answer, row)) => self.keep(&order, &purchase, &row, answer, latency_ms).await,
            Err(fault) => failed(*fault, Some(&purchase), latency_ms, order.known_as),
        };
        called.call.key_id = key_id;
        called
    }

    async fn carry_out(
        &self,
        order: &Order,
        purchase: &Purchase,
        cancelled: CancellationToken,
        key_id: &mut String,
    ) -> Result<(Answer, ModelRow), Box<Fault>> {
        let market = self.shelf.now();
        let prepared = match row(&market, order) {
            Ok(row) => self.prepare(&market, order, purchase, &row).await.map(|prepared| (row, prepared)),
            Err(fault) => Err(fault),
        };
        // What was asked before, and cannot be asked after now, is no failure: nobody knows what became of it.
        let (row, (adapter, endpoint, call)) = match (prepared, &order.known_as) {
            (Err(fault), Some(_)) => {
                return Err(Box::new(Fault { outcome: Outcome::Ambiguous, billed: Billed::Unknown, ..*fault }));
            }
            (prepared, _) => prepared?,
        };
        *key_id = endpoint.key.as_ref().map(keys::id).unwrap_or_default();
        // What a call costs is this machine's to know: a project's own row could make it look cheaper than it is.
        let row = priced(&market, row);
        let watch = Watching { journal: self.journal.clone(), order, cancelled };
        let answer = match &order.known_as {
            Some(id) => self.client.resume(adapter, &endpoint, &call, id, &watch).await,
            None => self.client.perform(adapter, &endpoint, &call, &watch).await,
        };
        Ok((answer.map_err(Box::new)?, row))
    }

    /// Everything that is needed before anything is sent.
    async fn prepare(
        &self,
        market: &Market,
        order: &Order,
        purchase: &Purchase,
        row: &ModelRow,
    ) -> Result<(&'static dyn Adapter, Endpoint, Call), Box<Fault>> {
        let gone = |message: String| Box::new(Fault::new(Outcome::Auth, message));
        let name = &purchase.account;
        let account = market.accounts.get(name).cloned();
        let account = account.ok_or_else(|| gone(format!("find the account {name}: the settings have it no more")))?;
        let protocol = account
            .sells(row)
            .ok_or_else(|| gone(format!("buy {} from the account {name}: it sells that model no more", row.id)))?;
        let adapter = adapter(protocol)
            .ok_or_else(|| gone(format!("speak {} with the account {name}: no such protocol here", protocol.word())))?;
        let recipe = &order.spec.recipe;
        let (store, wanted) = (self.store.clone(), recipe.edit.clone());
        // Keys lie in files and keychains, pictures in the store: neither is read on a task.
        let read = tokio::task::spawn_blocking(move || {
            let endpoint = account.endpoint()?;
            let picture = |hash: ContentHash| {
                let bytes = store.get(hash).map(Bytes::from);
                bytes.ok_or_else(|| {
                    Failure::new(ErrorCode::InputFile, "failed to find a picture to change: send it again")
                })
            };
            let edit = wanted.map(|edit| {
                let images = edit.images.iter().map(|hash| picture(*hash)).collect::<Result<Vec<_>, _>>()?;
                Ok::<_, Failure>((images, edit.mask.map(picture).transpose()?))
            });
            Ok::<_, Failure>((endpoint, edit.transpose()?.unwrap_or_default()))
        });
        let read = read.await.map_err(|err| gone(format!("read the key of the account {name}: {err}")))?;
        let (endpoint, (images, mask)) = read.map_err(|failure| {
            let outcome = if failure.code == ErrorCode::InputFile { Outcome::BadRequest } else { Outcome::Auth };
            let message = failure.message.strip_prefix("failed to ").unwrap_or(&failure.message);
            let range = if outcome == Outcome::Auth { Range::Account } else { Range::Call };
            Box::new(Fault::new(outcome, message).of(range))
        })?;
        let translated = translate(recipe, row, protocol, order.route.realisation.seed);
        let call = translated.call(recipe, row, images, mask, purchase.nonce.clone())?;
        Ok((adapter, endpoint, Call { model: order.route.realisation.wire_model.clone(), ..call }))
    }

    /// Looks at what came back, and keeps it before anybody is told.
    async fn keep(
        &self,
        order: &Order,
        purchase: &Purchase,
        row: &ModelRow,
        answer: Answer,
        latency_ms: u64,
    ) -> Called {
        let is_flat = self.shelf.now().accounts.get(&purchase.account).is_some_and(|account| account.price.is_some());
        let settled = Settled::Paid(price(&answer.usage, purchase, row, is_flat));
        let Answer { pictures, usage, provider_id } = answer;
        let (store, fresh) = (self.store.clone(), self.fresh.clone());
        let (recipe, route) = (order.spec.recipe.clone(), order.route.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let empty = |reason: String| (Outcome::Empty, format!("use the provider's picture: {reason}"));
            let none = || empty("there is none in the answer".to_owned());
            let picture = pictures.into_iter().next().ok_or_else(none)?;
            // A picture that cannot be read must not be found out only when words are set over it.
            let image = png::decode(&picture.bytes, DecodeLimits::ART).map_err(|err| empty(chain(&err)))?;
            // A disk that is full here is full for the next picture too.
            let lost = |err| (Outcome::Failed, format!("keep the picture that was bought: {}", chain(&err)));
            // Art that nothing will be set over is the finished picture already: it is written once.
            let finished =
                is_finished(&recipe, &image).then(|| png::stamp(&picture.bytes, &provenance(&recipe, &route)));
            let file = finished.and_then(Result::ok).flatten().map_or(picture.bytes, Bytes::from);
            // The newest file of the store is the last to be evicted, so nothing needs to hold it until it is drawn over.
            let (blob, _) = store.put(&file).map_err(lost)?;
            fresh.put(blob, image, file);
            Ok::<_, (Outcome, String)>((blob, picture.seed))
        });
        let kept = kept.await.unwrap_or_else(|err| Err((Outcome::Failed, format!("read the picture: {err}"))));
        let mut call = ledger::Call {
            outcome: Outcome::Rendered,
            settled,
            usage,
            provider_id,
            latency_ms,
            ..ledger::Call::unmade(Outcome::Rendered)
        };
        match kept {
            Ok((blob, seed)) => {
                call.art = Some(Bought { art: order.art, blob, seed });
            }
            Err((outcome, note)) => (call.outcome, call.note) = (outcome, note),
        }
        Called { call, retry_after_ms: None, account_wide: false }
    }
}

/// Whether `art` is what `recipe` asks for as it is.
pub fn is_finished(recipe: &Recipe, art: &ImageBuf) -> bool {
    recipe.text.is_empty() && recipe.post.is_empty() && art.extent() == recipe.size && !masked::applies(recipe)
}

/// What a picture of `recipe` along `route` says of itself.
pub fn provenance(recipe: &Recipe, route: &Route) -> Provenance {
    Provenance::new(recipe, route.realisation.clone(), route.model.clone(), route.placeholder_for.clone(), Vec::new())
}

fn row(market: &Market, order: &Order) -> Result<ModelRow, Box<Fault>> {
    let own = order.spec.terms.rows.iter().find(|row| row.id == order.route.model);
    own.or_else(|| market.catalogue.get(&order.route.model)).cloned().ok_or_else(|| {
        Box::new(Fault::new(
            Outcome::BadRequest,
            format!("find the model {}: the catalogue has it no more", order.route.model),
        ))
    })
}

/// The row with the prices of this machine's catalogue, where that knows the model by its id or by its name on the wire.
fn priced(market: &Market, row: ModelRow) -> ModelRow {
    let same = |known: &&ModelRow| {
        known.id == row.id || (known.wire.is_some() && known.wire == row.wire && known.provider == row.provider)
    };
    match market.catalogue.rows().iter().find(same) {
        Some(known) => ModelRow { tokens: known.tokens.clone(), ..row },
        None => row,
    }
}

/// The most that a server's figure is taken for: ten thousand dollars. No picture costs that; a larger figure is a mistake,
/// and sums of such would be larger than SQLite can hold.
const FIGURE_MAX: Micros = Micros(10_000_000_000);

/// What a call that gave a picture costs: what the provider says, or its tokens, or what was quoted. An account with a
/// price of its own (`is_flat`) sells at that, however the catalogue counts.
fn price(usage: &Usage, purchase: &Purchase, row: &ModelRow, is_flat: bool) -> Micros {
    if let Some(micros) = usage.micros {
        return Micros(micros).min(FIGURE_MAX);
    }
    match (&row.tokens, usage.output_tokens) {
        (Some(tokens), Some(output)) if !is_flat => {
            let cost = tokens.cost(usage.text_tokens.unwrap_or(0), usage.image_tokens.unwrap_or(0), output);
            cost.min(FIGURE_MAX)
        }
        _ => purchase.quoted,
    }
}

fn failed(fault: Fault, purchase: Option<&Purchase>, latency_ms: u64, known_as: Option<String>) -> Called {
    let quoted = purchase.map(|purchase| purchase.quoted).unwrap_or_default();
    let fault = match fault.outcome {
        // These mean that nothing was made. Where that is not sure, as of a call that was taken and can be asked after no
        // more, nobody knows, and nothing may be tried again.
        Outcome::Auth
        | Outcome::OutOfFunds
        | Outcome::Throttled
        | Outcome::Transient
        | Outcome::BadRequest
        | Outcome::Retired
            if fault.billed == Billed::Unknown =>
        {
            Fault { outcome: Outcome::Ambiguous, ..fault }
        }
        _ => fault,
    };
    let settled = match (fault.billed, fault.outcome) {
        (Billed::No, _) => Settled::Free,
        (_, Outcome::Ambiguous) => Settled::Unknown,
        // What was certainly answered and perhaps billed is counted as billed.
        (Billed::Yes | Billed::Unknown, _) => Settled::Paid(fault.usage.micros.map_or(quoted, Micros).min(FIGURE_MAX)),
    };
    let known_as = known_as.or_else(|| purchase?.known_as.clone());
    let call = ledger::Call {
        outcome: fault.outcome,
        settled,
        usage: fault.usage,
        provider_id: fault.provider_id.or(known_as),
        latency_ms,
        note: fault.message,
        ..ledger::Call::unmade(fault.outcome)
    };
    Called { call, retry_after_ms: fault.retry_after_ms, account_wide: fault.range == Range::Account }
}

struct Watching<'a> {
    journal: Journal,
    order: &'a Order,
    cancelled: CancellationToken,
}

impl Watch for Watching<'_> {
    fn accepted<'a>(&'a self, id: &'a str) -> Pin<Box<dyn Future<Output = bool> + Send + 'a>> {
        let (job, attempt, id) = (self.order.job, self.order.attempt, id.to_owned());
        let noted = self.journal.write(move |connection| ledger::note_provider_id(connection, job, attempt, &id));
        Box::pin(async move { noted.durable().await.is_ok() })
    }

    fn cancelled(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.cancelled.cancelled())
    }
}

/// A name for a call that nobody else has: a UUID, version 4.
pub fn nonce(key: RealisedKey, now_ms: u64) -> String {
    use std::hash::{BuildHasher, RandomState};
    let mut hasher = blake3::Hasher::new();
    // Each holds 64 bits of the system's randomness.
    for _ in 0..4 {
        hasher.update(&RandomState::new().hash_one(now_ms).to_le_bytes());
    }
    hasher.update(&key.0);
    let mut bytes = [0_u8; 16];
    bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    uuid(bytes)
}

/// Random bytes as a UUID, version 4.
pub(crate) fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests;
