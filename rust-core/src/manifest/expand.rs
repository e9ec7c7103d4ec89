//! Assets × locales → recipes.
//!
//! Whatever an image shares with its siblings is made once: a template is compiled once,
//! a prompt that names no locale is filled in once per asset.
//! The more specific word wins: command line, asset, template, [routes], tier row, model's default.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use minijinja::{Environment, Value};

use crate::error::ErrorCode;
use crate::id::ContentHash;
use crate::image::Extent;
use crate::job::AssetRef;
use crate::limits;
use crate::locale::{Chain, Strings, same_locale};
use crate::manifest::body::{self, MissingString, TierRow, Tiers, Variable};
use crate::manifest::choosing::{Chosen, Known, Noticed, Terming, Wish, left_out, written};
use crate::manifest::error::{Gathered, ManifestError, ManifestErrors};
use crate::manifest::path::check_output;
use crate::manifest::source::{did_you_mean, excerpt, nearest};
use crate::manifest::spending::RouteBy;
use crate::manifest::template::{Compiled, Scope as Names, TemplateFault, compile, environment};
use crate::manifest::tiers::{TierFile, overlaid};
use crate::manifest::wanted::{Expansion, NamedProfile, Overrides, Skipped, Wanted};
use crate::manifest::{DEFAULT_SIZE, Files, Manifest};
use crate::model::{Catalogue, ModelId};
use crate::recipe::{Adapter, ArtFile, Draft, Intent, Recipe, RecipeError, Settings, TemplateRef, Tier};
use crate::routing::{Metadata, route_job};
use crate::terms::Terms;
use crate::text_layer::{TextLayer, TextStyle};

mod join;

pub use join::{Expanded, Share, join};

/// Every image of the manifest, sorted by output.
///
/// # Errors
/// Everything that is wrong, up to [`ERRORS_MAX`](super::ERRORS_MAX) at once.
pub fn expand(
    manifest: &Manifest,
    strings: &Strings,
    files: &dyn Files,
    known: Known<'_>,
    overrides: &Overrides,
) -> Result<Expansion, ManifestErrors> {
    let whole = Share { number: 0, of: 1 };
    join(manifest, known, overrides, expand_share(manifest, strings, files, known, overrides, whole)?, Vec::new())
}

/// The images of one share of the assets; [`join`] puts shares together.
///
/// # Errors
/// What is wrong with templates, tiers and flags, the same for every share. What is wrong with assets waits for the join.
pub fn expand_share(
    manifest: &Manifest,
    strings: &Strings,
    files: &dyn Files,
    known: Known<'_>,
    overrides: &Overrides,
    share: Share,
) -> Result<Expanded, ManifestErrors> {
    let environment = environment();
    let mut expander = Expander::new(manifest, strings, files, known, overrides, &environment);
    let templates = expander.templates();
    // A template that cannot be used would fail again for each of its assets.
    expander = expander.sound()?;
    let assets = manifest.body.assets.len();
    let (from, to) = (assets * share.number / share.of, assets * (share.number + 1) / share.of);
    // Growing by doubling would hold the images twice at the worst moment.
    let most = overrides.assets.as_ref().map_or(usize::MAX, Vec::len);
    let images = (to - from).min(most).saturating_mul(expander.locales.len().max(1));
    expander.wanted.reserve_exact(images.min(limits::IMAGES_MAX));
    let chosen: Option<HashSet<&str>> =
        overrides.assets.as_ref().map(|assets| assets.iter().map(String::as_str).collect());
    for (name, asset) in manifest.body.assets.iter().skip(from).take(to - from) {
        if chosen.as_ref().is_some_and(|chosen| !chosen.contains(name.as_str())) {
            continue;
        }
        expander.asset(name, asset, &templates);
    }
    Ok(expander.finish())
}

/// Where an error is placed: a key path of the manifest.
type Place<'a> = Vec<&'a str>;

struct Expander<'m, 'e> {
    manifest: &'m Manifest,
    strings: &'m Strings,
    files: &'m dyn Files,
    catalogue: &'m Catalogue,
    overrides: &'m Overrides,
    environment: &'e Environment<'m>,
    gathered: Gathered,
    terming: Terming<'m>,
    noticed: Noticed,
    /// Models of [routes], by tier and intent; the intent is absent where the whole tier is meant.
    routes: HashMap<(Tier, Option<Intent>), ModelId>,
    /// Chosen locales and where their words are found.
    locales: Vec<(&'m str, Chain)>,
    /// The locale of words in an image without locale.
    default_locale: &'m str,
    fallback: Option<(&'m str, Chain)>,
    tiers: [TierRow; 2],
    verify_ocr: Option<bool>,
    tier_models: [Option<ModelId>; 2],
    model: Option<ModelId>,
    profiles: HashMap<&'m str, Arc<NamedProfile>>,
    path: Option<Compiled<'e, 'm>>,
    wanted: Vec<Wanted>,
    skipped: Vec<Skipped>,
}

/// A template whose parts are compiled and whose files are hashed.
struct Prepared<'m, 'e> {
    name: &'m str,
    body: &'m body::Template,
    prompt: Option<Compiled<'e, 'm>>,
    negative: Option<Compiled<'e, 'm>>,
    output: Option<Compiled<'e, 'm>>,
    model: Option<ModelId>,
    fallback: Vec<ModelId>,
    size: Option<Extent>,
    adapters: Vec<Adapter>,
    layers: Vec<PreparedLayer<'m, 'e>>,
}

struct PreparedLayer<'m, 'e> {
    body: &'m body::Layer,
    style: TextStyle,
    /// Key or words.
    source: Compiled<'e, 'm>,
}

/// The variables of one asset.
struct Variables<'m, 'e> {
    names: Names<'m>,
    /// Variables that differ from locale to locale, in the order they depend on each other.
    by_locale: Vec<(&'m str, Compiled<'e, 'm>)>,
}

impl Variables<'_, '_> {
    fn is_by_locale(&self, template: &Compiled<'_, '_>) -> bool {
        template
            .mentions()
            .iter()
            .any(|name| *name == "locale" || self.by_locale.iter().any(|(other, _)| other == name))
    }
}

impl<'m, 'e> Expander<'m, 'e> {
    fn new(
        manifest: &'m Manifest,
        strings: &'m Strings,
        files: &'m dyn Files,
        known: Known<'m>,
        overrides: &'m Overrides,
        environment: &'e Environment<'m>,
    ) -> Self {
        let (body, catalogue) = (&manifest.body, known.catalogue);
        let mut gathered = Gathered::default();
        let (tiers, verify_ocr) = tier_rows(manifest, files, catalogue, &mut gathered);
        let mut resolve = |model: Option<&str>, tier: Tier| {
            model.and_then(|model| match catalogue.resolve(model) {
                Ok(row) => Some(row.id.clone()),
                Err(unknown) => {
                    gathered.push(manifest.source.error(
                        ErrorCode::UnknownModel,
                        &["tiers", tier.word(), "model"],
                        format!("no model {:?}", excerpt(model)),
                        unknown.hint(),
                    ));
                    None
                }
            })
        };
        let tier_models =
            [resolve(tiers[0].model.as_deref(), Tier::Preview), resolve(tiers[1].model.as_deref(), Tier::Production)];
        let model = overrides.model.as_deref().and_then(|model| match catalogue.resolve(model) {
            Ok(row) => Some(row.id.clone()),
            Err(unknown) => {
                gathered.push(flag_error(
                    ErrorCode::UnknownModel,
                    "--model",
                    format!("no model {:?}", excerpt(model)),
                    unknown.hint(),
                ));
                None
            }
        });
        let mut routes = HashMap::new();
        for (key, model) in &body.routes {
            match (route_of(key), catalogue.resolve(model)) {
                (Some(of), Ok(row)) => drop(routes.insert(of, row.id.clone())),
                (_, Err(unknown)) => gathered.push(manifest.source.error(
                    ErrorCode::UnknownModel,
                    &["routes", key],
                    format!("no model {:?}", excerpt(model)),
                    unknown.hint(),
                )),
                // Told when the manifest was read.
                (None, Ok(_)) => {}
            }
        }
        let list = &body.locales.list;
        let locales = manifest.locales();
        let mut chosen: Vec<&'m str> = Vec::new();
        match &overrides.locales {
            None => chosen.extend(&locales),
            Some(asked) => {
                for asked in asked {
                    match locales.iter().find(|known| same_locale(known, asked)) {
                        Some(locale) if chosen.contains(locale) => {}
                        Some(locale) => chosen.push(locale),
                        None => {
                            let message = format!("the manifest has no locale {:?}", excerpt(asked));
                            let hint = did_you_mean(asked, locales.iter().copied());
                            gathered.push(flag_error(ErrorCode::InvalidRequest, "--locale", message, &hint));
                        }
                    }
                }
            }
        }
        for asked in overrides.assets.iter().flatten().filter(|asked| !body.assets.contains_key(asked.as_str())) {
            let message = format!("the manifest has no asset {:?}", excerpt(asked));
            let hint = did_you_mean(asked, body.assets.keys().map(String::as_str));
            gathered.push(flag_error(ErrorCode::InvalidRequest, "--asset", message, &hint));
        }
        let fallback = body.locales.fallback.as_deref();
        Self {
            manifest,
            strings,
            files,
            catalogue,
            overrides,
            environment,
            gathered,
            terming: Terming::new(known, body),
            noticed: Noticed::default(),
            routes,
            locales: chosen.into_iter().map(|locale| (locale, strings.chain(locale))).collect(),
            default_locale: fallback.or(list.first().map(String::as_str)).unwrap_or("en"),
            fallback: fallback.map(|locale| (locale, strings.chain(locale))),
            tiers,
            verify_ocr,
            tier_models,
            model,
            profiles: body
                .profiles
                .iter()
                .map(|(name, profile)| {
                    (name.as_str(), Arc::new(NamedProfile { name: name.clone(), profile: profile.clone() }))
                })
                .collect(),
            path: None,
            wanted: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Goes on only when nothing is wrong so far.
    fn sound(mut self) -> Result<Self, ManifestErrors> {
        std::mem::take(&mut self.gathered).or(self)
    }

    fn push(&mut self, code: ErrorCode, place: &[&str], message: impl Into<String>, fix: impl Into<String>) {
        if self.gathered.full() {
            return self.gathered.count_only();
        }
        self.gathered.push(self.manifest.source.error(code, place, message, fix));
    }

    fn push_fault(&mut self, place: &[&str], fault: TemplateFault) {
        self.push(ErrorCode::InvalidManifest, place, fault.message, fault.fix);
    }

    fn compile(&mut self, text: Option<&'m str>, place: &[&str]) -> Option<Compiled<'e, 'm>> {
        let text = text?;
        match compile(self.environment, text) {
            Ok(compiled) => Some(compiled),
            Err(fault) => {
                let code = if text.len() > limits::PROMPT_BYTES_MAX {
                    ErrorCode::TooLarge
                } else {
                    ErrorCode::InvalidManifest
                };
                self.push(code, place, fault.message, fault.fix);
                None
            }
        }
    }

    fn model(&mut self, model: Option<&str>, place: &[&str]) -> Option<ModelId> {
        match self.catalogue.resolve(model?) {
            Ok(row) => Some(row.id.clone()),
            Err(unknown) => {
                self.push(
                    ErrorCode::UnknownModel,
                    place,
                    format!("no model {:?}", excerpt(&unknown.name)),
                    unknown.hint(),
                );
                None
            }
        }
    }

    fn fallback(&mut self, models: Option<&[String]>, table: &str, owner: &str) -> Vec<ModelId> {
        let mut ids = Vec::new();
        for (at, model) in models.unwrap_or_default().iter().enumerate() {
            let at = at.to_string();
            ids.extend(self.model(Some(model), &[table, owner, "fallback", &at]));
        }
        ids
    }

    fn content(&mut self, path: &str, place: &[&str]) -> Option<ContentHash> {
        match self.files.content(path) {
            Ok(content) => Some(content),
            Err(fault) => {
                let error = self.manifest.file_error(place, path, &fault);
                self.gathered.push(error);
                None
            }
        }
    }

    fn templates(&mut self) -> HashMap<&'m str, Prepared<'m, 'e>> {
        self.path = self.compile(self.manifest.body.output.path.as_deref(), &["output", "path"]);
        let mut templates = HashMap::new();
        for (name, body) in &self.manifest.body.templates {
            let prepared = self.template(name, body);
            templates.insert(name.as_str(), prepared);
        }
        templates
    }

    fn template(&mut self, name: &'m str, body: &'m body::Template) -> Prepared<'m, 'e> {
        let mut adapters = Vec::new();
        for (at, adapter) in body.adapters.iter().enumerate() {
            let at = at.to_string();
            if let Some(content) = self.content(&adapter.file, &["templates", name, "adapters", &at, "file"]) {
                adapters.push(Adapter { content, weight: adapter.weight });
            }
        }
        let mut layers = Vec::new();
        for (at, layer) in body.text.iter().enumerate() {
            let at = at.to_string();
            let mut style = layer.style.clone();
            if let Some(font) = &mut style.font {
                font.content = self.content(&font.path, &["templates", name, "text", &at, "font"]);
            }
            let (text, key) = match &layer.string {
                Some(string) => (string, "string"),
                None => (layer.text.as_ref().unwrap_or(&layer.name), "text"),
            };
            if let Some(source) = self.compile(Some(text), &["templates", name, "text", &at, key]) {
                layers.push(PreparedLayer { body: layer, style, source });
            }
        }
        Prepared {
            name,
            body,
            prompt: self.compile(body.prompt.as_deref(), &["templates", name, "prompt"]),
            negative: self.compile(body.negative.as_deref(), &["templates", name, "negative"]),
            output: self.compile(body.output.as_deref(), &["templates", name, "output"]),
            model: self.model(body.model.as_deref(), &["templates", name, "model"]),
            fallback: self.fallback(body.fallback.as_deref(), "templates", name),
            size: body.size.as_deref().and_then(|size| size.parse().ok()),
            adapters,
            layers,
        }
    }

    fn asset(&mut self, name: &'m str, asset: &'m body::Asset, templates: &HashMap<&'m str, Prepared<'m, 'e>>) {
        let template = asset.template.as_deref().and_then(|template| templates.get(template));
        let Some((mut base, chosen_by)) = self.base(name, asset, template) else { return };
        let Some(mut variables) = self.variables(name, asset, template, &base) else { return };

        let own_prompt = self.compile(asset.prompt.as_deref(), &["assets", name, "prompt"]);
        let own_negative = self.compile(asset.negative.as_deref(), &["assets", name, "negative"]);
        let own_output = self.compile(asset.output.as_deref(), &["assets", name, "output"]);
        let mut own_keys: BTreeMap<&str, Compiled<'e, 'm>> = BTreeMap::new();
        for (layer, key) in &asset.strings {
            if let Some(key) = self.compile(Some(key), &["assets", name, "strings", layer]) {
                own_keys.insert(layer, key);
            }
        }
        let from_template = |own: bool, key: &'static str| -> Place<'_> {
            match template {
                Some(template) if !own => vec!["templates", template.name, key],
                _ => vec!["assets", name, key],
            }
        };
        let drawn = base.art.is_none() || base.intent == Intent::Edit;
        let prompt = own_prompt.as_ref().or(template.and_then(|template| template.prompt.as_ref())).filter(|_| drawn);
        let negative = own_negative
            .as_ref()
            .or(template.and_then(|template| template.negative.as_ref()))
            .filter(|_| drawn && self.overrides.negative.is_none());
        let prompt_place = from_template(own_prompt.is_some(), "prompt");
        let negative_place = from_template(own_negative.is_some(), "negative");
        if let Some(negative) = self.overrides.negative.as_ref().filter(|_| drawn) {
            base.negative.clone_from(negative);
        }
        let has_negative = negative.is_some() || !base.negative.is_empty();
        let Some(terms) = self.terms(name, asset, template, &base, chosen_by, has_negative) else { return };
        let path = self.path.take();
        let (output, output_place) = match (&own_output, template.and_then(|template| template.output.as_ref())) {
            (Some(own), _) => (Some(own), vec!["assets", name, "output"]),
            (None, Some(of_template)) => (Some(of_template), from_template(false, "output")),
            (None, None) if path.is_some() => (path.as_ref(), vec!["output", "path"]),
            (None, None) => (None, vec!["assets", name]),
        };
        let layers = template.map(|template| template.layers.as_slice()).unwrap_or_default();

        // Filled in once when no locale is named.
        let prompt_by_locale = prompt.is_some_and(|prompt| variables.is_by_locale(prompt));
        let negative_by_locale = negative.is_some_and(|negative| variables.is_by_locale(negative));
        let needs_locale = prompt_by_locale
            || negative_by_locale
            || output.is_some_and(|output| variables.is_by_locale(output))
            || layers.iter().any(|layer| layer.body.string.is_some() || variables.is_by_locale(&layer.source))
            || own_keys.values().any(|key| variables.is_by_locale(key))
            || asset.locales.as_ref().is_some_and(|locales| !locales.is_empty())
            || !asset.more_locales.is_empty();
        let none = (
            "",
            self.locales
                .iter()
                .find(|(locale, _)| *locale == self.default_locale)
                .map_or_else(|| self.strings.chain(self.default_locale), |(_, chain)| chain.clone()),
        );
        let list = &self.manifest.body.locales.list;
        let locales: Vec<(&'m str, Chain)> = if needs_locale && asset.locales.as_ref().is_none_or(|own| !own.is_empty())
        {
            let own = asset.locales.as_ref().unwrap_or(list).iter().chain(&asset.more_locales);
            if own.clone().next().is_none() {
                self.push(
                    ErrorCode::InvalidManifest,
                    &["assets", name],
                    "the asset needs locales, and the manifest has none",
                    "add list = [\"en\"] under [locales], or locales = [] to the asset",
                );
                self.path = path;
                return;
            }
            let own = |locale: &str| own.clone().any(|own| same_locale(own, locale));
            self.locales.iter().filter(|(locale, _)| own(locale)).cloned().collect()
        } else if self.overrides.locales.is_some() {
            Vec::new()
        } else {
            vec![none]
        };

        let mut once = true;
        'locales: for (locale, chain) in &locales {
            variables.names.insert("locale", Value::from(*locale));
            for at in 0..variables.by_locale.len() {
                let (variable, compiled) = &variables.by_locale[at];
                let (variable, value) = (*variable, compiled.render(&variables.names));
                match value {
                    Ok(value) => variables.names.insert(variable, Value::from(value)),
                    Err(fault) => {
                        let place = self.variable_place(name, asset, template, variable);
                        self.push_fault(&place, fault);
                        break 'locales;
                    }
                };
            }
            let names = &variables.names;
            for (template, by_locale, place, text) in [
                (prompt, prompt_by_locale, &prompt_place, &mut base.prompt),
                (negative, negative_by_locale, &negative_place, &mut base.negative),
            ] {
                if let Some(template) = template.filter(|_| once || by_locale) {
                    match template.render(names) {
                        Ok(rendered) => *text = rendered,
                        Err(fault) => {
                            self.push_fault(place, fault);
                            break 'locales;
                        }
                    }
                }
            }
            once = false;
            let output = match output.map(|output| output.render(names)) {
                None if locale.is_empty() => format!("Thumbnails/{name}.png"),
                None => format!("Thumbnails/{name}/{name}.{locale}.png"),
                Some(Ok(output)) => output,
                Some(Err(fault)) => {
                    self.push_fault(&output_place, fault);
                    break;
                }
            };
            if let Err(fault) = check_output(&output) {
                let message = format!("the output {:?} of asset {name:?} {}", excerpt(&output), fault.message);
                self.push(ErrorCode::OutputPath, &output_place, message, fault.fix);
                break;
            }
            let asset_ref = AssetRef { name: name.to_owned(), locale: (*locale).to_owned() };
            match self.layers(name, template, layers, &own_keys, names, locale, chain) {
                Words::Found(text) => {
                    let mut recipe = base.clone();
                    recipe.text = text;
                    match recipe.normalised() {
                        Ok(recipe) => {
                            let planned = recipe.planned_key();
                            let profile = asset
                                .profile
                                .as_deref()
                                .or(template.and_then(|template| template.body.profile.as_deref()));
                            self.wanted.push(Wanted {
                                asset: asset_ref,
                                output,
                                profile: profile.and_then(|profile| self.profiles.get(profile)).cloned(),
                                recipe,
                                planned,
                                priority: asset.priority,
                                terms: terms.clone(),
                            });
                        }
                        Err(err) => {
                            let place = recipe_place(&err, name, template, &prompt_place, &negative_place);
                            let place: Vec<&str> = place.iter().map(String::as_str).collect();
                            let message = format!("asset {name:?} cannot be drawn: {err}");
                            self.push(recipe_code(&err), &place, message, "");
                            break;
                        }
                    }
                }
                Words::Missing(string) => self.skipped.push(Skipped { asset: asset_ref, output, string }),
                Words::Wrong => {}
            }
            if self.wanted.len() > limits::IMAGES_MAX {
                let fix = format!("split the manifest: at most {} are planned at once", limits::IMAGES_MAX);
                self.push(ErrorCode::TooLarge, &["assets"], "the manifest has too many images", fix);
                break;
            }
        }
        self.path = path;
    }

    /// The recipe without prompt and words, and what chose its model.
    fn base(
        &mut self,
        name: &'m str,
        asset: &'m body::Asset,
        template: Option<&Prepared<'m, 'e>>,
    ) -> Option<(Recipe, ChosenBy)> {
        let body = template.map(|template| template.body);
        let overrides = self.overrides;
        let tier = overrides.tier.unwrap_or_else(|| self.manifest.tier(body, asset));
        let draft_row = asset.draft.as_ref().or(body.and_then(|body| body.draft.as_ref()));
        let draft = match draft_row {
            Some(row) => {
                let owner = if asset.draft.is_some() { ("assets", name) } else { ("templates", template?.name) };
                let model = match &row.model {
                    Some(model) => Some(self.model(Some(model), &[owner.0, owner.1, "draft", "model"])?),
                    None => None,
                };
                // A size that is none was an error when the manifest was read.
                let size = row.size.parse().ok()?;
                Some(Draft { size, enlarge: row.enlarge, model, strength: row.strength })
            }
            None => None,
        };
        // What is made from a draft is drawn as drafts are: its final only enlarges it.
        let drawn_as = if draft.is_some() { Tier::Preview } else { tier };
        let tier_at = usize::from(drawn_as == Tier::Production);
        let own_model = match &asset.model {
            Some(model) => Some(self.model(Some(model), &["assets", name, "model"])?),
            None => None,
        };
        let art = match &asset.art {
            Some(path) => Some(ArtFile { path: path.clone(), content: self.content(path, &["assets", name, "art"])? }),
            None => None,
        };
        let intent = body.and_then(|body| body.intent).unwrap_or_default();
        // The team's own picture is taken as it is: what a model would do with a prompt decides none of its pixels.
        let drawn = art.is_none() || intent == Intent::Edit;
        let (model, chosen_by) = self.choose(own_model, asset, template, (drawn_as, intent));
        let settings = self.tiers[tier_at]
            .settings()
            .overlaid(body.map_or(&Settings::default(), |body| &body.settings))
            .overlaid(&asset.settings)
            .overlaid(&overrides.settings);
        let own_size = asset.size.as_deref().and_then(|size| size.parse().ok());
        let size = overrides.size.or(own_size).or(template.and_then(|template| template.size)).unwrap_or(DEFAULT_SIZE);
        let draft = draft.filter(|_| drawn);
        let (size, draft) = match draft {
            Some(draft) if tier == Tier::Preview => (draft.size, None),
            draft => (size, draft),
        };
        let recipe = Recipe {
            template: template
                .map(|template| TemplateRef { name: template.name.to_owned(), version: template.body.version }),
            prompt: String::new(),
            negative: String::new(),
            model: model.filter(|_| drawn),
            intent,
            tier,
            seed: overrides.seed.or(asset.seed).or(body.and_then(|body| body.seed)).filter(|_| drawn),
            size,
            settings: if drawn { settings } else { Settings::default() },
            adapters: template.filter(|_| drawn).map(|template| template.adapters.clone()).unwrap_or_default(),
            art,
            edit: None,
            draft,
            brand: self.manifest.brand(body).to_vec(),
            text: Vec::new(),
            post: body.map(|body| body.post.clone()).unwrap_or_default(),
        };
        Some((recipe, chosen_by))
    }

    /// The model of an image, and what chose it. What is said in one place goes over everything that is said farther off.
    fn choose(
        &self,
        own: Option<ModelId>,
        asset: &body::Asset,
        template: Option<&Prepared<'m, 'e>>,
        (tier, intent): (Tier, Intent),
    ) -> (Option<ModelId>, ChosenBy) {
        let of_template = template.map(|template| template.body.choosing()).unwrap_or_default();
        let of_asset = asset.choosing();
        let both = of_template.overlaid(&of_asset);
        let auto = Some(RouteBy::Auto);
        if let Some(model) = &self.model {
            return (Some(model.clone()), ChosenBy::Flag);
        }
        if own.is_some() {
            return (own, ChosenBy::Asset);
        }
        if of_asset.route == auto {
            return (None, ChosenBy::Auto);
        }
        if let Some(model) = template.and_then(|template| template.model.clone()) {
            return (Some(model), ChosenBy::Template);
        }
        if of_template.route == auto && of_asset.route.is_none() {
            return (None, ChosenBy::Auto);
        }
        let asks_rule =
            both.requires_typography_precision.is_some() || both.confidence.is_some() || both.fast_preview.is_some();
        if asks_rule {
            let metadata = Metadata {
                requires_typography_precision: both.requires_typography_precision.unwrap_or_default(),
                confidence: both.confidence.unwrap_or_default(),
                fast_preview: both.fast_preview.unwrap_or_default(),
            };
            let row = self.catalogue.resolve(route_job(&metadata)).ok();
            let by_asset = asset.requires_typography_precision.is_some()
                || asset.confidence.is_some()
                || asset.fast_preview.is_some();
            return (row.map(|row| row.id.clone()), if by_asset { ChosenBy::Asset } else { ChosenBy::Template });
        }
        if both.route.unwrap_or(self.manifest.body.route) == RouteBy::Auto {
            return (None, ChosenBy::Auto);
        }
        for of in [(tier, Some(intent)), (tier, None)] {
            if let Some(model) = self.routes.get(&of) {
                return (Some(model.clone()), ChosenBy::Routes(of));
            }
        }
        (self.tier_models[usize::from(tier == Tier::Production)].clone(), ChosenBy::Tier(tier))
    }

    /// The terms of an image; what they name is noted, for each model is judged once.
    fn terms(
        &mut self,
        name: &'m str,
        asset: &'m body::Asset,
        template: Option<&Prepared<'m, 'e>>,
        recipe: &Recipe,
        chosen_by: ChosenBy,
        has_negative: bool,
    ) -> Option<Arc<Terms>> {
        let of_template = template.map(|template| template.body.choosing()).unwrap_or_default();
        let both = of_template.overlaid(&asset.choosing());
        let (pin, allow_lossy) = (both.pin.unwrap_or_default(), both.allow_lossy.unwrap_or_default());
        let (fallback, fallback_at) = match (&asset.fallback, template) {
            (Some(own), _) => (self.fallback(Some(own), "assets", name), ("assets", name)),
            (None, Some(template)) => (template.fallback.clone(), ("templates", template.name)),
            (None, None) => (Vec::new(), ("assets", name)),
        };
        let drawn = recipe.art.is_none() || recipe.intent == Intent::Edit;
        if let Some(model) = &recipe.model {
            self.noticed.note(model, pin, || chosen_by.place(name, template.map(|template| template.name)));
        }
        for model in &fallback {
            let place = || [fallback_at.0, fallback_at.1, "fallback"].map(str::to_owned).to_vec();
            self.noticed.note(model, pin, place);
        }
        let enlarger = recipe.draft.as_ref().and_then(|draft| draft.model.as_ref());
        if let Some(model) = enlarger {
            self.noticed.note(model, pin, || ["assets", name, "draft", "model"].map(str::to_owned).to_vec());
        }
        if let Some(model) = recipe.model.as_ref().filter(|_| !allow_lossy.is_empty())
            && let Some(row) = self.catalogue.get(model)
        {
            let row = self.catalogue.successor(row, self.terming.today()).map_or(row, |successor| successor.row);
            let left_out = left_out(row, recipe, has_negative, allow_lossy);
            self.noticed.lossy.extend(left_out.into_iter().map(|field| (row.id.clone(), field)));
        }
        let drawn_as = if recipe.draft.is_some() { Tier::Preview } else { recipe.tier };
        let auto = (chosen_by == ChosenBy::Auto && drawn).then(|| Chosen {
            tier: drawn_as,
            intent: recipe.intent,
            size: recipe.draft.as_ref().map_or(recipe.size, |draft| draft.size),
            quality: recipe.settings.quality.clone(),
        });
        let criteria = self.manifest.body.criteria.of(recipe.tier, recipe.intent);
        let of_template = template.map(|template| &template.body.criteria);
        let criteria = of_template.into_iter().chain([&asset.criteria]).fold(criteria, |all, over| all.overlaid(over));
        let draws_words =
            template.is_some_and(|template| template.layers.iter().any(|layer| !layer.body.mode.is_composite()));
        let of_template = template.map(|template| &template.body.repair);
        let said = of_template.into_iter().chain([&asset.repair]);
        let repair = said.fold(self.manifest.body.repair.clone(), |all, over| all.overlaid(over)).repair(draws_words);
        let wish = Wish {
            criteria: written(&criteria),
            repair,
            model: recipe.model.clone().filter(|_| self.terming.has_own_rows()),
            enlarger: enlarger.cloned().filter(|_| self.terming.has_own_rows()),
            pin,
            allow_lossy: allow_lossy.to_vec(),
            fallback,
            auto,
        };
        let row = &self.tiers[usize::from(drawn_as == Tier::Production)];
        match self.terming.terms(wish, criteria, row) {
            Ok(terms) => Some(terms),
            Err(why) => {
                let fix = "name a model, lower auto.pass_rate, or let models be measured (`thumbforge models --learn`)";
                self.push(ErrorCode::ModelUnavailable, &["assets", name], why, fix);
                None
            }
        }
    }

    /// Values of all variables; those that are templates are filled in after what they name.
    fn variables(
        &mut self,
        name: &'m str,
        asset: &'m body::Asset,
        template: Option<&Prepared<'m, 'e>>,
        base: &Recipe,
    ) -> Option<Variables<'m, 'e>> {
        let mut names = Names::new();
        names.insert("asset", Value::from(name));
        names.insert("tier", Value::from(base.tier.word()));
        names.insert("size", Value::from(base.size.to_string()));
        names.insert("locale", Value::from(""));
        let of_template = template.map(|template| &template.body.vars).into_iter().flatten();
        let merged: BTreeMap<&'m str, &'m Variable> =
            of_template.chain(&asset.vars).map(|(name, value)| (name.as_str(), value)).collect();
        let mut pending: BTreeMap<&'m str, Compiled<'e, 'm>> = BTreeMap::new();
        for (variable, value) in merged {
            let value = match value {
                Variable::Text(text) if text.contains("{{") || text.contains("{%") || text.contains("{#") => {
                    let place = self.variable_place(name, asset, template, variable);
                    pending.insert(variable, self.compile(Some(text), &place)?);
                    continue;
                }
                Variable::Text(text) => Value::from(text.as_str()),
                Variable::Integer(number) => Value::from(*number),
                Variable::Number(number) => Value::from(*number),
                Variable::Bool(yes) => Value::from(*yes),
            };
            names.insert(variable, value);
        }
        let mut variables = Variables { names, by_locale: Vec::new() };
        while !pending.is_empty() {
            let ready = pending
                .iter()
                .find(|(_, compiled)| !compiled.mentions().iter().any(|other| pending.contains_key(other)))
                .map(|(variable, _)| *variable);
            let Some(variable) = ready else {
                let (first, circle) = circle(&pending);
                let place = self.variable_place(name, asset, template, first);
                self.push(
                    ErrorCode::InvalidManifest,
                    &place,
                    format!("the variable includes itself: {circle}"),
                    "take one of them out of the circle",
                );
                return None;
            };
            let compiled = pending.remove(variable)?;
            match compiled.render(&variables.names) {
                Ok(value) => variables.names.insert(variable, Value::from(value)),
                Err(fault) => {
                    let place = self.variable_place(name, asset, template, variable);
                    self.push_fault(&place, fault);
                    return None;
                }
            };
            if variables.is_by_locale(&compiled) {
                variables.by_locale.push((variable, compiled));
            }
        }
        Some(variables)
    }

    fn variable_place<'a>(
        &self,
        name: &'a str,
        asset: &body::Asset,
        template: Option<&Prepared<'m, '_>>,
        variable: &'a str,
    ) -> Place<'a>
    where
        'm: 'a,
    {
        match template {
            Some(template) if !asset.vars.contains_key(variable) => vec!["templates", template.name, "vars", variable],
            _ => vec!["assets", name, "vars", variable],
        }
    }

    /// The words of every layer in one locale.
    #[expect(clippy::too_many_arguments, reason = "one call, and each is another borrow of the asset's state")]
    fn layers(
        &mut self,
        asset: &str,
        template: Option<&Prepared<'m, 'e>>,
        layers: &[PreparedLayer<'m, 'e>],
        own_keys: &BTreeMap<&str, Compiled<'e, 'm>>,
        names: &Names<'m>,
        locale: &str,
        chain: &Chain,
    ) -> Words {
        let words_locale = if locale.is_empty() { self.default_locale } else { locale };
        let mut text = Vec::with_capacity(layers.len());
        for (at, layer) in layers.iter().enumerate() {
            let own = own_keys.get(layer.body.name.as_str());
            let rendered = match own.unwrap_or(&layer.source).render(names) {
                Ok(rendered) => rendered,
                Err(fault) => {
                    let at = at.to_string();
                    let place = self.layer_place(asset, template, layer, &at, own.is_some());
                    self.push_fault(&place, fault);
                    return Words::Wrong;
                }
            };
            let made = |text: String, locale: &str| TextLayer {
                name: layer.body.name.clone(),
                text,
                locale: locale.to_owned(),
                mode: layer.body.mode,
                style: layer.style.clone(),
            };
            if layer.body.string.is_none() {
                text.push(made(rendered, words_locale));
                continue;
            }
            if let Some(words) = self.strings.get(&rendered, chain) {
                text.push(made(words.to_owned(), words_locale));
                continue;
            }
            let missing = self.manifest.body.missing_string;
            let spare = self.fallback.as_ref().filter(|_| missing == MissingString::Fallback);
            if let Some((words, locale)) =
                spare.and_then(|(locale, chain)| Some((self.strings.get(&rendered, chain)?, *locale)))
            {
                text.push(made(words.to_owned(), locale));
                continue;
            }
            if layer.body.optional {
                continue;
            }
            if missing == MissingString::Skip {
                return Words::Missing(rendered);
            }
            self.push_missing(asset, template, layer, at, own.is_some(), &rendered, words_locale);
            return Words::Wrong;
        }
        Words::Found(text)
    }

    #[expect(clippy::too_many_arguments, reason = "it only words an error")]
    fn push_missing(
        &mut self,
        asset: &str,
        template: Option<&Prepared<'m, 'e>>,
        layer: &PreparedLayer<'m, 'e>,
        at: usize,
        own: bool,
        key: &str,
        locale: &str,
    ) {
        if self.gathered.full() {
            return self.gathered.count_only();
        }
        let strings = self.strings;
        let any = strings.locales().iter().any(|locale| strings.get(key, &strings.chain(locale)).is_some());
        let fix = if any {
            "translate it, or set missing_string = \"skip\" or \"fallback\"".to_owned()
        } else {
            match nearest(key, strings.keys()) {
                Some(near) => format!("did you mean {near:?}?"),
                None if strings.files().is_empty() => {
                    "name a table under [locales]: strings = [\"Shop.csv\"]".to_owned()
                }
                None => format!("add it to {}", strings.files().join(" or ")),
            }
        };
        let at = at.to_string();
        let place = self.layer_place(asset, template, layer, &at, own);
        let message = format!("locale {locale:?} has no string {:?} for asset {asset:?}", excerpt(key));
        self.push(ErrorCode::MissingString, &place, message, fix);
    }

    fn layer_place<'a>(
        &self,
        asset: &'a str,
        template: Option<&Prepared<'m, 'e>>,
        layer: &PreparedLayer<'m, 'e>,
        at: &'a str,
        own: bool,
    ) -> Place<'a>
    where
        'm: 'a,
    {
        match template {
            Some(template) if !own => {
                let key = if layer.body.string.is_some() { "string" } else { "text" };
                vec!["templates", template.name, "text", at, key]
            }
            _ => vec!["assets", asset, "strings", layer.body.name.as_str()],
        }
    }

    fn finish(mut self) -> Expanded {
        let [preview, production] = std::mem::take(&mut self.tiers);
        Expanded {
            wanted: self.wanted,
            skipped: self.skipped,
            tiers: Tiers { preview: Some(preview), production: Some(production) },
            verify_ocr: self.verify_ocr,
            noticed: self.noticed,
            gathered: self.gathered,
        }
    }
}

/// What said which model an image is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChosenBy {
    Flag,
    Asset,
    Template,
    Routes((Tier, Option<Intent>)),
    Tier(Tier),
    /// Price and quality: the terms have the models.
    Auto,
}

impl ChosenBy {
    /// The key that says so.
    fn place(self, asset: &str, template: Option<&str>) -> Vec<String> {
        let path = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect();
        match (self, template) {
            (Self::Flag, _) => path(&["--model"]),
            (Self::Template, Some(template)) => path(&["templates", template, "model"]),
            (Self::Routes((tier, None)), _) => path(&["routes", tier.word()]),
            (Self::Routes((tier, Some(intent))), _) => path(&["routes", &format!("{}.{}", tier.word(), intent.word())]),
            (Self::Tier(tier), _) => path(&["tiers", tier.word(), "model"]),
            (Self::Asset | Self::Template | Self::Auto, _) => path(&["assets", asset, "model"]),
        }
    }
}

/// The tier, and the intent where there is one, of a key of `[routes]`.
pub(super) fn route_of(key: &str) -> Option<(Tier, Option<Intent>)> {
    let (tier, intent) = key.split_once('.').map_or((key, None), |(tier, intent)| (tier, Some(intent)));
    let tier = [Tier::Preview, Tier::Production].into_iter().find(|known| known.word() == tier)?;
    match intent {
        None => Some((tier, None)),
        Some(word) => Intent::ALL.into_iter().find(|known| known.word() == word).map(|intent| (tier, Some(intent))),
    }
}

/// What looking up the words of an image came to.
enum Words {
    Found(Vec<TextLayer>),
    /// This key is not there, and such images are left out.
    Missing(String),
    /// An error was told.
    Wrong,
}

/// `[preview, production]`, and whether words are read back: the tier file with the manifest on top.
fn tier_rows(
    manifest: &Manifest,
    files: &dyn Files,
    catalogue: &Catalogue,
    gathered: &mut Gathered,
) -> ([TierRow; 2], Option<bool>) {
    let body = &manifest.body;
    let mut file = TierFile::default();
    if let Some(path) = &body.tier_file {
        match files.read(path, limits::TIER_FILE_BYTES_MAX) {
            Err(fault) => gathered.push(manifest.file_error(&["tier_file"], path, &fault)),
            Ok(bytes) => {
                match TierFile::parse(path, &bytes).and_then(|file| file.check(path, catalogue).map(|()| file)) {
                    Ok(read) => file = read,
                    Err(errors) => gathered.extend(errors),
                }
            }
        }
    }
    let rows = [Tier::Preview, Tier::Production].map(|tier| overlaid(file.tiers.row(tier), body.tiers.row(tier)));
    (rows, body.verify_ocr.or(file.verify_ocr))
}

/// The first variable of a circle, and the way round it.
fn circle<'m>(pending: &BTreeMap<&'m str, Compiled<'_, 'm>>) -> (&'m str, String) {
    let next = |name: &str| {
        let compiled = pending.get(name)?;
        compiled.mentions().into_iter().find_map(|other| pending.get_key_value(other).map(|(name, _)| *name))
    };
    let mut way: Vec<&'m str> = pending.keys().take(1).copied().collect();
    while let Some(name) = way.last().and_then(|name| next(name)) {
        if let Some(start) = way.iter().position(|earlier| *earlier == name) {
            way.push(name);
            return (name, way[start..].join(" → "));
        }
        way.push(name);
    }
    (way.first().copied().unwrap_or_default(), way.join(" → "))
}

fn flag_error(code: ErrorCode, flag: &str, message: String, fix: &str) -> ManifestError {
    ManifestError {
        code,
        file: flag.to_owned(),
        line: None,
        column: None,
        key: String::new(),
        message,
        fix: fix.to_owned(),
    }
}

fn recipe_code(err: &RecipeError) -> ErrorCode {
    match err {
        RecipeError::PromptTooLong { .. } | RecipeError::TooMuchText | RecipeError::TooManyAdapters(_) => {
            ErrorCode::TooLarge
        }
        _ => ErrorCode::InvalidRequest,
    }
}

/// The key that a recipe's error is about.
fn recipe_place(
    err: &RecipeError,
    asset: &str,
    template: Option<&Prepared<'_, '_>>,
    prompt: &[&str],
    negative: &[&str],
) -> Vec<String> {
    let owned = |place: &[&str]| place.iter().map(|part| (*part).to_owned()).collect();
    match (err, template) {
        (RecipeError::PromptTooLong { what: "negative prompt", .. }, _) => owned(negative),
        (RecipeError::EmptyPrompt | RecipeError::PromptTooLong { .. }, _) => owned(prompt),
        (RecipeError::Number { field, .. }, Some(template)) => {
            let layer =
                template.layers.iter().position(|layer| field.ends_with(&format!("text layer {:?}", layer.body.name)));
            match (layer, field.split([' ', '.']).next()) {
                (Some(at), Some(key)) => owned(&["templates", template.name, "text", &at.to_string(), key]),
                _ => owned(&["templates", template.name, "settings"]),
            }
        }
        (RecipeError::TooMuchText, Some(template)) => owned(&["templates", template.name, "text"]),
        _ => owned(&["assets", asset]),
    }
}
