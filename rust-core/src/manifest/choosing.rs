//! Which model an image is drawn with, under which terms, and what is wrong with that today.
//!
//! The terms of most images are the same, so each is made once and shared; whether a model may be used at all is asked
//! once for each model that is named, and not for each of a hundred thousand images.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::criteria::Criteria;
use crate::day::Day;
use crate::error::ErrorCode;
use crate::image::Extent;
use crate::limits;
use crate::manifest::body::{Body, TierRow};
use crate::manifest::error::{Gathered, ManifestError};
use crate::manifest::spending::{Dollars, Lossy, Policy};
use crate::manifest::wanted::Warning;
use crate::model::{Catalogue, Family, ModelId, ModelRow, SeedUse, Standing};
use crate::money::Micros;
use crate::recipe::{Recipe, Tier};
use crate::repair::Repair;
use crate::routing::{self, Ask, Learned};
use crate::terms::{AccountLimits, Budget, Licences, Period, Scope, Terms};

/// What is known besides the manifest.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// Every model, those of the project's own among them.
    pub catalogue: &'a Catalogue,
    /// The project's own rows; jobs take along those that they need.
    pub own: &'a [ModelRow],
    /// What was learned of models.
    pub learned: &'a Learned,
    /// The day, by which models are retired.
    pub today: Day,
}

impl<'a> Known<'a> {
    /// A catalogue and a day, and nothing learned.
    pub fn of(catalogue: &'a Catalogue, today: Day) -> Self {
        static NOTHING: Learned = Learned::new();
        Self { catalogue, own: &[], learned: &NOTHING, today }
    }
}

/// A model that something names, and whether it is pinned there.
pub(super) type Named = (ModelId, bool);
/// Where something stands: a key path of the manifest.
pub(super) type Path = Vec<String>;

/// What was noticed of models while images were made; each once.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    /// Models, and where each is named first.
    pub(super) named: BTreeMap<Named, Path>,
    /// Fields that a model leaves out where it is allowed to.
    pub(super) lossy: BTreeSet<(ModelId, Lossy)>,
}

impl Noticed {
    /// What others noticed after it.
    pub(super) fn extend(&mut self, other: Self) {
        for (named, path) in other.named {
            self.named.entry(named).or_insert(path);
        }
        self.lossy.extend(other.lossy);
    }

    /// Notes a model; the place is only made up for the first that names it.
    pub(super) fn note(&mut self, model: &ModelId, pin: bool, place: impl FnOnce() -> Path) {
        self.named.entry((model.clone(), pin)).or_insert_with(place);
    }
}

/// What the terms of an image follow from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Wish {
    /// What the image is held to, as [`written`]: figures have no hash.
    pub(super) criteria: String,
    /// What is done about the image when its checks refuse it.
    pub(super) repair: Option<Repair>,
    /// The model that is named; kept only where rows of the project's own may come along for it.
    pub(super) model: Option<ModelId>,
    /// The model that enlarges a draft; kept where such rows may come along.
    pub(super) enlarger: Option<ModelId>,
    pub(super) pin: bool,
    pub(super) allow_lossy: Vec<Lossy>,
    pub(super) fallback: Vec<ModelId>,
    /// Chosen by price and quality, for this.
    pub(super) auto: Option<Chosen>,
}

/// Criteria as a key: equal criteria are written alike, and those that say nothing, which most images have, as nothing.
pub(super) fn written(criteria: &Criteria) -> String {
    // They are figures and words, which JSON can always write.
    if criteria.is_default() { String::new() } else { serde_json::to_string(criteria).unwrap_or_default() }
}

/// What a choice by price and quality depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Chosen {
    pub(super) tier: Tier,
    pub(super) intent: crate::recipe::Intent,
    pub(super) size: Extent,
    pub(super) quality: Option<String>,
}

/// Makes terms, each once.
pub(super) struct Terming<'m> {
    known: Known<'m>,
    body: &'m Body,
    allowed: Allowed,
    base: Terms,
    made: HashMap<Wish, Arc<Terms>>,
}

impl<'m> Terming<'m> {
    pub(super) fn new(known: Known<'m>, body: &'m Body) -> Self {
        Self { known, body, allowed: Allowed::of(body), base: base(body), made: HashMap::new() }
    }

    pub(super) fn today(&self) -> Day {
        self.known.today
    }

    /// Whether rows of the project's own may come along.
    pub(super) fn has_own_rows(&self) -> bool {
        !self.known.own.is_empty()
    }

    /// The terms of a wish whose criteria are these.
    ///
    /// # Errors
    /// Why no model may be chosen.
    pub(super) fn terms(&mut self, wish: Wish, criteria: Criteria, row: &TierRow) -> Result<Arc<Terms>, String> {
        if let Some(made) = self.made.get(&wish) {
            return Ok(made.clone());
        }
        let models = match &wish.auto {
            Some(chosen) => self.choose(chosen, row.max_latency_ms)?,
            None => Vec::new(),
        };
        let mut terms = Terms {
            criteria,
            repair: wish.repair.clone(),
            models,
            fallback: wish.fallback.clone(),
            pin: wish.pin,
            allow_lossy: wish.allow_lossy.iter().map(|field| field.word().to_owned()).collect(),
            max_latency_ms: row.max_latency_ms.filter(|_| wish.auto.is_some()),
            ..self.base.clone()
        };
        terms.rows = self.own_rows(wish.model.iter().chain(&wish.enlarger).chain(&terms.models).chain(&terms.fallback));
        let terms = Arc::new(terms);
        self.made.insert(wish, terms.clone());
        Ok(terms)
    }

    /// Models by price and quality, best first.
    fn choose(&self, chosen: &Chosen, max_latency_ms: Option<u64>) -> Result<Vec<ModelId>, String> {
        let Chosen { tier, intent, size, quality } = chosen;
        let ask = Ask {
            intent: *intent,
            pass_rate: self.body.auto.pass_rate.of(*tier),
            max_latency_ms,
            today: self.known.today,
        };
        let price = |row: &ModelRow| {
            self.allowed.check(row).map_err(|(_, why)| why)?;
            let own = matches!(row.family, Family::Local).then_some(Micros::ZERO);
            Ok(own.or_else(|| row.likely_price(*size, quality.as_deref())))
        };
        let ranked = routing::auto(self.known.catalogue, self.known.learned, &ask, &price);
        let fits = ranked.iter().filter(|one| one.fit == routing::Fit::Fits);
        let models: Vec<ModelId> = fits.take(limits::FALLBACKS_MAX).map(|one| one.row.id.clone()).collect();
        if models.is_empty() {
            let nearest = ranked.iter().filter(|one| one.fit != routing::Fit::Unusable).take(2);
            let why: Vec<String> = nearest.map(|one| format!("{}: {}", one.row.id, one.reason)).collect();
            let why = if why.is_empty() { "none may be asked".to_owned() } else { why.join("; ") };
            return Err(format!("route = \"auto\" finds no model for {} ({why})", intent.word()));
        }
        Ok(models)
    }

    /// The project's own rows that these models need, and those that take their place.
    fn own_rows<'a>(&self, models: impl Iterator<Item = &'a ModelId>) -> Vec<ModelRow> {
        if self.known.own.is_empty() {
            return Vec::new();
        }
        let mut needed = BTreeSet::new();
        for row in models.filter_map(|model| self.known.catalogue.get(model)) {
            needed.insert(&row.id);
            if let Ok(successor) = self.known.catalogue.successor(row, self.known.today) {
                needed.extend(successor.replaced.iter().map(|row| &row.id).chain([&successor.row.id]));
            }
        }
        self.known.own.iter().filter(|row| needed.contains(&row.id)).cloned().collect()
    }
}

/// What every image of the manifest is under.
fn base(body: &Body) -> Terms {
    let Policy { providers, licences, cross_vendor_refusals } = &body.policy;
    let mut budgets = Vec::new();
    let mut add = |scope: Scope, period, amount: &Option<Dollars>| {
        // What is no amount was an error when the manifest was read.
        if let Some(micros) = amount.as_ref().and_then(|amount| amount.micros().ok()) {
            budgets.push(Budget { scope, period, micros });
        }
    };
    let project = || Scope::Project(body.project.clone().unwrap_or_default());
    let spending = &body.budget;
    add(project(), Period::Ever, &spending.total);
    add(project(), Period::Day, &spending.day);
    add(project(), Period::Month, &spending.month);
    add(Scope::Tier(Tier::Preview.word().to_owned()), Period::Ever, &spending.preview);
    add(Scope::Tier(Tier::Production.word().to_owned()), Period::Ever, &spending.production);
    for (name, account) in &body.accounts {
        add(Scope::Account(name.clone()), Period::Day, &account.day);
        add(Scope::Account(name.clone()), Period::Month, &account.month);
    }
    let limits = body.accounts.iter().filter_map(|(name, account)| {
        let limits =
            AccountLimits { images_in_flight: account.images_in_flight, images_per_minute: account.images_per_minute };
        (limits != AccountLimits::default()).then(|| (name.clone(), limits))
    });
    Terms {
        providers: providers.clone(),
        licences: Licences { allow: licences.allow.clone(), deny: licences.deny.clone() },
        cross_vendor_refusals: *cross_vendor_refusals,
        limits: limits.collect(),
        budgets,
        ..Terms::default()
    }
}

/// What the policy allows, as far as a manifest can know: whose account a name is may stand in the user's settings alone.
struct Allowed {
    licences: Licences,
    /// Providers that are allowed; absent where all are, or where a name may be an account of any of them.
    providers: Option<BTreeSet<String>>,
}

impl Allowed {
    fn of(body: &Body) -> Self {
        let licences = Licences { allow: body.policy.licences.allow.clone(), deny: body.policy.licences.deny.clone() };
        let providers = body.policy.providers.as_ref().and_then(|words| {
            let provider_of = |word: &String| match body.accounts.get(word) {
                Some(account) => account.provider.clone(),
                None => PROVIDERS.contains(&word.as_str()).then(|| word.clone()),
            };
            words.iter().map(provider_of).collect()
        });
        Self { licences, providers }
    }

    /// Whether a model may be asked.
    fn check(&self, row: &ModelRow) -> Result<(), (ErrorCode, String)> {
        // What we draw ourselves is under nobody's licence, and goes to nobody.
        if row.family == Family::Builtin {
            return Ok(());
        }
        if !self.licences.allows(row.licence()) {
            let why = format!("policy.licences does not allow {:?}, the licence of {}", row.licence(), row.id);
            return Err((ErrorCode::LicenceDenied, why));
        }
        let provider = row.provider.as_deref().filter(|_| row.family == Family::Hosted);
        match (provider, &self.providers) {
            (Some(provider), Some(allowed)) if !allowed.contains(provider) => {
                let why = format!("policy.providers does not allow {provider}, which {} is asked of", row.id);
                Err((ErrorCode::PolicyDenied, why))
            }
            _ => Ok(()),
        }
    }
}

/// Providers of the catalogue and servers of one's own, by their words; any other word is an account's name.
const PROVIDERS: [&str; 9] =
    ["openai", "google", "ideogram", "stability", "openai-compatible", "a1111", "comfyui", "sdcpp", "post"];

/// Fields of `recipe` that `row` leaves out though they are named, of those that it may.
pub(super) fn left_out(row: &ModelRow, recipe: &Recipe, has_negative: bool, allowed: &[Lossy]) -> Vec<Lossy> {
    let (can, settings) = (&row.can, &recipe.settings);
    let is_left_out = |field: Lossy| match field {
        Lossy::Negative => has_negative && !can.negative,
        Lossy::Seed => recipe.seed.is_some() && can.seed == SeedUse::None,
        Lossy::Steps => settings.steps.is_some() && !can.sampling,
        Lossy::Sampler => settings.sampler.is_some() && !can.sampling,
        Lossy::Guidance => settings.guidance.is_some() && !can.guidance,
        Lossy::Strength => settings.strength.is_some() && !can.strength,
        Lossy::Quality => settings.quality.is_some() && can.qualities.is_empty(),
        Lossy::Adapters => !recipe.adapters.is_empty() && !can.adapters,
        Lossy::Composition => settings.composition.is_some(),
        Lossy::Subject => settings.subject.is_some(),
        Lossy::Brand => !recipe.brand.is_empty(),
        Lossy::Noise => settings.noise.is_some(),
        Lossy::Dtype => settings.dtype.is_some(),
        Lossy::Slg => settings.slg.is_some(),
        Lossy::MaskFeather => settings.mask_feather.is_some(),
        Lossy::MaskMode => settings.mask_mode.is_some(),
        Lossy::TiledVae | Lossy::Fp8 => false,
    };
    if row.family != Family::Hosted {
        return Vec::new();
    }
    allowed.iter().copied().filter(|field| is_left_out(*field)).collect()
}

/// Makes an error at a key path: code, path, message and fix.
pub(super) type PlacedError<'a> = dyn Fn(ErrorCode, &[&str], String, &str) -> ManifestError + 'a;

/// What came of judging models.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// What people should know.
    pub(super) warnings: Vec<Warning>,
    /// Retired models that are pinned.
    pub(super) retired: BTreeMap<ModelId, ManifestError>,
}

/// What people should know of the models that were noticed, and what is wrong with them.
pub(super) fn judge(
    body: &Body,
    known: Known<'_>,
    noticed: &Noticed,
    error: &PlacedError<'_>,
    gathered: &mut Gathered,
) -> Judged {
    let allowed = Allowed::of(body);
    let (mut warnings, mut retired) = (BTreeSet::new(), BTreeMap::new());
    for ((model, pin), path) in &noticed.named {
        let Some(row) = known.catalogue.get(model) else { continue };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let drawn = match today(row, *pin, known) {
            Ok((drawn, warning)) => {
                warnings.extend(warning);
                drawn
            }
            Err((message, fix)) if *pin => {
                warnings.insert(Warning { code: "model_retired", message: message.clone() });
                retired.insert(model.clone(), error(ErrorCode::ModelRetired, &path, message, &fix));
                continue;
            }
            Err((message, fix)) => {
                gathered.push(error(ErrorCode::ModelRetired, &path, message, &fix));
                continue;
            }
        };
        if let Err((code, why)) = allowed.check(drawn) {
            let instead = if drawn.id == row.id { "" } else { &format!(" (in place of {})", row.id) };
            let fix = "name another model, or change the policy";
            gathered.push(error(code, &path, format!("{why}{instead}"), fix));
        }
    }
    for (model, field) in &noticed.lossy {
        let message = format!("{model} takes no {}; allow_lossy lets it be left out", field.word());
        warnings.insert(Warning { code: "lossy", message });
    }
    Judged { warnings: warnings.into_iter().collect(), retired }
}

/// The row that is drawn with today in place of `row`, and what people should know of that.
fn today<'a>(
    row: &'a ModelRow,
    pin: bool,
    known: Known<'a>,
) -> Result<(&'a ModelRow, Option<Warning>), (String, String)> {
    let id = &row.id;
    match row.standing(known.today) {
        Standing::Live => Ok((row, None)),
        Standing::Retiring { days } => {
            let day = row.retired_on.map(|day| day.to_string()).unwrap_or_default();
            let days = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
            let then = match &row.replacement {
                Some(next) if !pin => format!("; {next} takes its place then"),
                Some(next) => format!("; {next} would take its place, and the pin keeps it from that"),
                None => String::new(),
            };
            let message = format!("{id} retires on {day}, in {days}{then}");
            Ok((row, Some(Warning { code: "model_retires", message })))
        }
        Standing::Retired { since } if pin => {
            let next = row.replacement.as_ref().map(|next| format!("name {next}, or ")).unwrap_or_default();
            Err((format!("{id} was retired on {since}, and it is pinned"), format!("{next}take `pin` out")))
        }
        Standing::Retired { .. } => match known.catalogue.successor(row, known.today) {
            Ok(successor) => {
                let message = successor.warning();
                Ok((successor.row, message.map(|message| Warning { code: "model_retired", message })))
            }
            Err(failure) => Err((failure.message, String::new())),
        },
    }
}
