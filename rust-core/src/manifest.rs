//! The manifest, `thumbforge.toml`: which images exist, and what decides each of them.
//!
//! ```text
//! text ─► check against the schema ─► Body ─► what no schema can say ─► Manifest
//! Manifest + Strings + Files + Catalogue + Overrides ─► expand ─► Wanted, Wanted, …
//! ```
//!
//! Reading needs the text alone; expanding needs the string tables and the hashes of art and fonts,
//! which come in through [`Files`]. Errors name file, line, key and what to do, and come up to twenty at once.

use crate::colour::Rgb;
use crate::error::ErrorCode;
use crate::id::ContentHash;
use crate::image::Extent;
use crate::limits;
use crate::locale::{Strings, is_locale, same_locale};
use crate::manifest::body::Body;
use crate::recipe::Tier;
use crate::terms::Licences;

pub mod body;
mod choosing;
mod error;
mod expand;
pub mod exporting;
pub mod mending;
pub mod path;
mod policy;
mod prompts;
mod shape;
mod source;
pub mod spending;
mod template;
mod tiers;
mod version;
mod wanted;

pub use choosing::Known;
pub use error::{ERRORS_MAX, ManifestError, ManifestErrors};
pub use expand::{Expanded, Share, expand, expand_share, join};
pub use policy::PolicyFile;
pub use prompts::PromptFile;
pub use tiers::TierFile;
pub use wanted::{Expansion, NamedProfile, Overrides, Scope, Skipped, Wanted, Warning};

pub(crate) use error::Gathered;
pub(crate) use source::excerpt;
use source::{Source, did_you_mean, position};

/// Size of an image that names none.
pub const DEFAULT_SIZE: Extent = Extent { width: 512, height: 512 };

/// Names that every template knows; variables may not take them.
const RESERVED: [&str; 4] = ["asset", "locale", "tier", "size"];

/// A manifest that was read and checked.
#[derive(Debug)]
pub struct Manifest {
    source: Source,
    body: Body,
}

/// Looks at the team's files; whoever implements it knows folders, this crate does not.
///
/// Paths are as the manifest writes them: relative to it, with forward slashes, possibly beginning with `../`.
pub trait Files {
    /// The content of a file of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`FileFault`].
    fn read(&self, path: &str, bytes_max: usize) -> Result<Vec<u8>, FileFault>;

    /// BLAKE3 of a file; may be remembered by size and time of change.
    ///
    /// # Errors
    /// [`FileFault`].
    fn content(&self, path: &str) -> Result<ContentHash, FileFault>;
}

/// Why a file cannot be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileFault {
    /// It is not there.
    #[error("the file is not there")]
    Missing,
    /// It is larger than it may be.
    #[error("the file is larger than {bytes_max} bytes")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// It is a Git LFS pointer in place of the file.
    #[error("the file is a Git LFS pointer: fetch it with `git lfs pull`")]
    LfsPointer,
    /// Anything else, in words.
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
}

/// A file that the manifest names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// As the manifest writes it.
    pub path: String,
    /// What it is.
    pub kind: InputKind,
}

/// What a file of the manifest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputKind {
    /// A string table; its content is read.
    Strings,
    /// A tier file; its content is read.
    Tiers,
    /// The team's own picture; hashed.
    Art,
    /// A font; hashed.
    Font,
    /// A LoRA file; hashed.
    Adapter,
}

/// The JSON Schema of the manifest, for editors; committed as `docs/thumbforge.schema.json`.
pub fn schema() -> serde_json::Value {
    let mut schema = schema_of::<Body>();
    if let Some(root) = schema.as_object_mut() {
        root.insert("$id".to_owned(), "thumbforge.schema.json".into());
    }
    schema
}

/// The JSON Schema of a file that is read into `T`.
fn schema_of<T: schemars::JsonSchema>() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft07();
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    without_null(&mut schema);
    schema
}

/// TOML has no null: what may be absent is simply not required.
fn without_null(schema: &mut serde_json::Value) {
    let is_null =
        |schema: &serde_json::Value| schema == "null" || schema.get("type").is_some_and(|kind| kind == "null");
    match schema {
        serde_json::Value::Object(object) => {
            object.retain(|key, value| key != "default" || !value.is_null());
            for key in ["type", "anyOf"] {
                let Some(several) = object.get_mut(key).and_then(serde_json::Value::as_array_mut) else { continue };
                several.retain(|one| !is_null(one));
                if several.len() == 1 {
                    // A description may stand beside allOf, and not beside a lone $ref, in draft 7.
                    let one = several.remove(0);
                    object.remove(key);
                    match key {
                        "type" => object.insert("type".to_owned(), one),
                        _ => object.insert("allOf".to_owned(), serde_json::Value::Array(vec![one])),
                    };
                }
            }
            object.values_mut().for_each(without_null);
        }
        serde_json::Value::Array(array) => array.iter_mut().for_each(without_null),
        _ => {}
    }
}

impl Manifest {
    /// Reads a manifest. `label` is how errors call the file.
    ///
    /// # Errors
    /// Everything that is wrong, up to [`ERRORS_MAX`] at once. A version mismatch is told alone:
    /// a newer manifest may have keys that this version does not know.
    pub fn parse(label: &str, bytes: &[u8]) -> Result<Self, ManifestErrors> {
        let text = text_of(label, bytes, limits::MANIFEST_BYTES_MAX)?;
        let source = Source::new(label, text);
        let (tree, mistakes) = toml::de::DeTable::parse_recoverable(text);
        check_requires(&source, tree.get_ref())?;
        check_bindings(&source, tree.get_ref())?;
        if !mistakes.is_empty() {
            return Err(syntax_errors(label, text, &mistakes));
        }
        shape::check(&schema(), label, text, tree.get_ref()).or(())?;
        let body: Body = serde::Deserialize::deserialize(toml::de::Deserializer::from(tree))
            .map_err(|err| unreadable(label, text, &err))?;
        let manifest = Self { source, body };
        manifest.check()?;
        Ok(manifest)
    }

    /// The file's tables as they stand in it.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// How errors call the file.
    pub fn label(&self) -> &str {
        self.source.label()
    }

    /// Every file that the manifest names, sorted, each once.
    pub fn inputs(&self) -> Vec<Input> {
        let mut inputs = Vec::new();
        let mut add = |path: &str, kind| inputs.push(Input { path: path.to_owned(), kind });
        for path in &self.body.locales.strings {
            add(path, InputKind::Strings);
        }
        if let Some(path) = &self.body.tier_file {
            add(path, InputKind::Tiers);
        }
        for template in self.body.templates.values() {
            for adapter in &template.adapters {
                add(&adapter.file, InputKind::Adapter);
            }
            for font in template.text.iter().filter_map(|layer| layer.style.font.as_ref()) {
                add(&font.path, InputKind::Font);
            }
        }
        for path in self.body.assets.values().filter_map(|asset| asset.art.as_deref()) {
            add(path, InputKind::Art);
        }
        inputs.sort();
        inputs.dedup();
        inputs
    }

    /// Reads the string tables that the manifest names.
    ///
    /// # Errors
    /// A table that is missing or malformed, or two tables that disagree.
    pub fn strings(&self, files: &dyn Files) -> Result<Strings, ManifestErrors> {
        let mut strings = Strings::default();
        let mut gathered = Gathered::default();
        for (at, path) in self.body.locales.strings.iter().enumerate() {
            match files.read(path, limits::STRINGS_BYTES_MAX) {
                Ok(bytes) => {
                    if let Err(errors) = strings.add(path, &bytes) {
                        gathered.extend(errors);
                    }
                }
                Err(fault) => {
                    let at = at.to_string();
                    gathered.push(self.file_error(&["locales", "strings", &at], path, &fault));
                }
            }
        }
        gathered.or(strings)
    }

    /// What no schema can say: names that must exist, forms of sizes and locales, what excludes what.
    fn check(&self) -> Result<(), ManifestErrors> {
        let body = &self.body;
        let mut gathered = Gathered::default();
        self.check_locales(&mut gathered);
        for input in body.locales.strings.iter().enumerate() {
            self.check_input(&mut gathered, &["locales", "strings", &input.0.to_string()], input.1);
        }
        if let Some(path) = &body.tier_file {
            self.check_input(&mut gathered, &["tier_file"], path);
        }
        self.check_spending(&mut gathered);
        self.check_criteria(&mut gathered);
        self.check_repair(&mut gathered);
        for (name, template) in &body.templates {
            self.check_template(&mut gathered, name, template);
        }
        for (name, asset) in &body.assets {
            self.check_asset(&mut gathered, name, asset);
        }
        gathered.or(())
    }

    fn check_locales(&self, gathered: &mut Gathered) {
        let locales = &self.body.locales;
        for (at, locale) in locales.list.iter().enumerate() {
            let path = ["locales", "list", &at.to_string()];
            if !is_locale(locale) {
                gathered.push(self.error(
                    &path,
                    format!("{:?} is no locale code", excerpt(locale)),
                    "write it as en or zh-Hans",
                ));
            } else if locales.list[..at].iter().any(|earlier| same_locale(earlier, locale)) {
                gathered.push(self.error(&path, format!("{locale:?} stands here twice"), "keep one"));
            }
        }
        match &locales.fallback {
            Some(fallback) if !is_locale(fallback) => {
                let message = format!("{:?} is no locale code", excerpt(fallback));
                gathered.push(self.error(&["locales", "fallback"], message, "write it as en or zh-Hans"));
            }
            None if self.body.missing_string == body::MissingString::Fallback => {
                let message = "missing_string is \"fallback\" and no fallback locale is named";
                gathered.push(self.error(&["missing_string"], message, "add fallback = \"en\" under [locales]"));
            }
            _ => {}
        }
    }

    /// Amounts that are none, keys that name no route, and licences of adapters that the policy denies.
    fn check_spending(&self, gathered: &mut Gathered) {
        let body = &self.body;
        let budget = &body.budget;
        let amounts = [
            ("total", &budget.total),
            ("day", &budget.day),
            ("month", &budget.month),
            ("batch", &budget.batch),
            ("preview", &budget.preview),
            ("production", &budget.production),
        ];
        let mut check = |path: &[&str], amount: &Option<spending::Dollars>| {
            if let Some(Err(err)) = amount.as_ref().map(spending::Dollars::micros) {
                let message = err.to_string();
                let (message, fix) = message.split_once(": ").unwrap_or((&message, ""));
                let message = message.replace("read the amount", "no amount:");
                gathered.push(self.source.error(ErrorCode::InvalidManifest, path, message, fix));
            }
        };
        amounts.iter().for_each(|(key, amount)| check(&["budget", key], amount));
        for (name, account) in &body.accounts {
            check(&["accounts", name, "day"], &account.day);
            check(&["accounts", name, "month"], &account.month);
        }
        // Two budgets of each account, beside the manifest's own and the user's.
        if body.accounts.len() > limits::BUDGETS_MAX / 4 {
            let message = format!("{} accounts have limits here", body.accounts.len());
            let fix = format!("at most {} fit", limits::BUDGETS_MAX / 4);
            gathered.push(self.error(&["accounts"], message, &fix));
        }
        for key in body.routes.keys().filter(|key| expand::route_of(key).is_none()) {
            gathered.push(self.error(&["routes", key], "no such route", policy::ROW));
        }
        let licences = Licences { allow: body.policy.licences.allow.clone(), deny: body.policy.licences.deny.clone() };
        for (name, template) in &body.templates {
            for (at, adapter) in template.adapters.iter().enumerate() {
                let licence = adapter.licence.as_deref().unwrap_or("unknown");
                if !licences.is_empty() && !licences.allows(licence) {
                    let at = at.to_string();
                    let path = ["templates", name, "adapters", &at, "licence"];
                    let message = format!(
                        "policy.licences does not allow {licence:?}, the licence of {:?}",
                        excerpt(&adapter.file)
                    );
                    let fix = "say its licence, take the adapter out, or change the policy";
                    gathered.push(self.source.error(ErrorCode::LicenceDenied, &path, message, fix));
                }
            }
            self.check_fallback(gathered, "templates", name, template.fallback.as_deref());
        }
        for (name, asset) in &body.assets {
            self.check_fallback(gathered, "assets", name, asset.fallback.as_deref());
        }
    }

    /// Criteria that the schema takes and no picture can be held to.
    fn check_criteria(&self, gathered: &mut Gathered) {
        let body = &self.body;
        policy::check_table(&self.source, &["criteria"], &body.criteria, gathered);
        for (name, template) in &body.templates {
            policy::check(&self.source, &["templates", name, "criteria"], &template.criteria, gathered);
        }
        for (name, asset) in &body.assets {
            policy::check(&self.source, &["assets", name, "criteria"], &asset.criteria, gathered);
        }
    }

    /// Means that are none, and amounts.
    fn check_repair(&self, gathered: &mut Gathered) {
        let body = &self.body;
        body.repair.check(&self.source, &["repair"], gathered);
        for (name, template) in &body.templates {
            template.repair.check(&self.source, &["templates", name, "repair"], gathered);
        }
        for (name, asset) in &body.assets {
            asset.repair.check(&self.source, &["assets", name, "repair"], gathered);
        }
    }

    fn check_fallback(&self, gathered: &mut Gathered, table: &str, owner: &str, models: Option<&[String]>) {
        if let Some(models) = models.filter(|models| models.len() > limits::FALLBACKS_MAX) {
            let message = format!("{} models to fall back to", models.len());
            let fix = format!("at most {} are tried", limits::FALLBACKS_MAX);
            gathered.push(self.error(&[table, owner, "fallback"], message, &fix));
        }
    }

    fn check_template(&self, gathered: &mut Gathered, name: &str, template: &body::Template) {
        let at = |rest: &[&'static str]| -> Vec<String> {
            ["templates", name].iter().chain(rest).map(|part| (*part).to_owned()).collect()
        };
        self.check_size(gathered, &at(&["size"]), template.size.as_deref());
        self.check_size(gathered, &at(&["draft", "size"]), template.draft.as_ref().map(|draft| draft.size.as_str()));
        self.check_seed(gathered, &at(&["seed"]), template.seed);
        self.check_profile(gathered, &at(&["profile"]), template.profile.as_deref());
        self.check_vars(gathered, "templates", name, template.vars.keys());
        for (index, adapter) in template.adapters.iter().enumerate() {
            self.check_input(gathered, &["templates", name, "adapters", &index.to_string(), "file"], &adapter.file);
        }
        if template.text.len() > limits::LAYERS_MAX {
            let message = format!("{} text layers", template.text.len());
            gathered.push(self.error(
                &["templates", name, "text"],
                message,
                &format!("at most {} fit", limits::LAYERS_MAX),
            ));
        }
        for (index, layer) in template.text.iter().enumerate() {
            let index_text = index.to_string();
            let path = ["templates", name, "text", &index_text];
            let with = |key| [path[0], path[1], path[2], path[3], key];
            if layer.name.is_empty() {
                gathered.push(self.error(&with("name"), "the layer has no name", "write a word such as title"));
            }
            if template.text[..index].iter().any(|earlier| earlier.name == layer.name) {
                let message = format!("two layers are called {:?}", excerpt(&layer.name));
                gathered.push(self.error(&with("name"), message, "give each its own name"));
            }
            match (&layer.string, &layer.text) {
                (Some(_), Some(_)) => {
                    let message = "the layer has both a string and a text";
                    gathered.push(self.error(&with("text"), message, "keep `string` (a key) or `text` (the words)"));
                }
                (None, None) => {
                    let message = format!("the layer {:?} has no words", excerpt(&layer.name));
                    let fix = "add string = \"{{ asset }}.title\" (a key of the tables) or text = \"NEW\"";
                    gathered.push(self.error(&path, message, fix));
                }
                _ => {}
            }
            if let Some(font) = &layer.style.font {
                self.check_input(gathered, &with("font"), &font.path);
            }
        }
    }

    fn check_asset(&self, gathered: &mut Gathered, name: &str, asset: &body::Asset) {
        let body = &self.body;
        let at = |key: &str| vec!["assets".to_owned(), name.to_owned(), key.to_owned()];
        let template = asset.template.as_ref().map(|wanted| (wanted, body.templates.get(wanted)));
        if let Some((wanted, None)) = template {
            let known = did_you_mean(wanted, body.templates.keys().map(String::as_str));
            gathered.push(self.error(
                &["assets", name, "template"],
                format!("no template {:?}", excerpt(wanted)),
                &known,
            ));
        }
        let template = template.and_then(|(_, template)| template);
        let drawn = asset.art.is_some()
            || asset.prompt.is_some()
            || asset.template.is_some() && template.is_none_or(|template| template.prompt.is_some());
        if !drawn {
            let message = "nothing says what the picture shows";
            let fix = "add a template that has a prompt, or prompt = \"…\", or art = \"Art/picture.png\"";
            gathered.push(self.error(&["assets", name], message, fix));
        }
        if let Some(draft) = &asset.draft {
            let path = ["assets", name, "draft", "size"].map(str::to_owned);
            self.check_size(gathered, &path, Some(&draft.size));
        }
        self.check_size(gathered, &at("size"), asset.size.as_deref());
        self.check_seed(gathered, &at("seed"), asset.seed);
        self.check_profile(gathered, &at("profile"), asset.profile.as_deref());
        self.check_vars(gathered, "assets", name, asset.vars.keys());
        if let Some(art) = &asset.art {
            self.check_input(gathered, &["assets", name, "art"], art);
        }
        for (index, locale) in asset.locales.iter().flatten().enumerate() {
            let list = &body.locales.list;
            if !list.iter().any(|known| same_locale(known, locale)) {
                let fix = format!("add it to locales.list ({})", did_you_mean(locale, list.iter().map(String::as_str)));
                let path = ["assets", name, "locales", &index.to_string()];
                gathered.push(self.error(&path, format!("{:?} is not in locales.list", excerpt(locale)), &fix));
            }
        }
        for (index, locale) in asset.more_locales.iter().enumerate() {
            let path = ["assets", name, "more_locales", &index.to_string()];
            if !is_locale(locale) {
                let message = format!("{:?} is no locale code", excerpt(locale));
                gathered.push(self.error(&path, message, "write it as en or zh-Hans"));
            } else if body
                .locales
                .list
                .iter()
                .chain(&asset.more_locales[..index])
                .any(|known| same_locale(known, locale))
            {
                gathered.push(self.error(&path, format!("the asset has {locale:?} already"), "leave it out"));
            }
        }
        for layer in asset.strings.keys() {
            let layers = template.map(|template| template.text.as_slice()).unwrap_or_default();
            let place = ["assets", name, "strings", layer];
            match layers.iter().find(|known| known.name == *layer) {
                Some(found) if found.string.is_none() => {
                    let message = format!("the layer {layer:?} has words of its own and looks up none");
                    gathered.push(self.error(&place, message, "give the layer a `string` in place of its `text`"));
                }
                Some(_) => {}
                None => {
                    let known = did_you_mean(layer, layers.iter().map(|layer| layer.name.as_str()));
                    gathered.push(self.error(
                        &place,
                        format!("the template has no text layer {:?}", excerpt(layer)),
                        &known,
                    ));
                }
            }
        }
    }

    fn check_vars<'a>(
        &self,
        gathered: &mut Gathered,
        table: &str,
        owner: &str,
        names: impl Iterator<Item = &'a String>,
    ) {
        for name in names {
            let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if RESERVED.contains(&name.as_str()) {
                let message = format!("{name:?} is a name that every template has already");
                gathered.push(self.error(&[table, owner, "vars", name], message, "call the variable something else"));
            } else if !starts_well || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                let message = "templates cannot name this variable";
                gathered.push(self.error(
                    &[table, owner, "vars", name],
                    message,
                    "use letters, digits and underscores",
                ));
            }
        }
    }

    fn check_size(&self, gathered: &mut Gathered, path: &[String], size: Option<&str>) {
        if let Some(Err(err)) = size.map(str::parse::<Extent>) {
            let (message, fix) = match &err {
                crate::image::ExtentError::Form(_) => {
                    ("no size", "write width and height in pixels, as in \"512x512\"".to_owned())
                }
                crate::image::ExtentError::Side { .. } => {
                    ("out of bounds", format!("each side must be {} to {} pixels", limits::SIDE_MIN, limits::SIDE_MAX))
                }
            };
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let message = format!("{:?} is {message}", excerpt(size.unwrap_or_default()));
            gathered.push(self.source.error(ErrorCode::InvalidRequest, &path, message, fix));
        }
    }

    fn check_seed(&self, gathered: &mut Gathered, path: &[String], seed: Option<u64>) {
        if seed.is_some_and(|seed| seed > limits::SEED_MAX) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let fix = format!("seeds go from 0 to {}", limits::SEED_MAX);
            gathered.push(self.source.error(ErrorCode::InvalidRequest, &path, "the seed is too large", fix));
        }
    }

    fn check_profile(&self, gathered: &mut Gathered, path: &[String], profile: Option<&str>) {
        if let Some(name) = profile.filter(|name| !self.body.profiles.contains_key(*name)) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let known = did_you_mean(name, self.body.profiles.keys().map(String::as_str));
            gathered.push(self.error(&path, format!("no profile {:?}", excerpt(name)), &known));
        }
    }

    fn check_input(&self, gathered: &mut Gathered, key: &[&str], path: &str) {
        if let Err(fault) = path::check_input(path) {
            let message = format!("the path {:?} {}", excerpt(path), fault.message);
            gathered.push(self.source.error(ErrorCode::InputFile, key, message, fault.fix));
        }
    }

    fn error(&self, path: &[&str], message: impl Into<String>, fix: &str) -> ManifestError {
        self.source.error(ErrorCode::InvalidManifest, path, message, fix)
    }

    fn file_error(&self, key: &[&str], path: &str, fault: &FileFault) -> ManifestError {
        let code = match fault {
            FileFault::TooLarge { .. } => ErrorCode::TooLarge,
            _ => ErrorCode::InputFile,
        };
        let fix = match fault {
            FileFault::Missing => "write a path relative to the manifest, with the case it has on disk",
            _ => "",
        };
        self.source.error(code, key, format!("{:?}: {fault}", excerpt(path)), fix)
    }

    /// Every locale that an image may have: those of the list, then those that single assets have besides.
    pub fn locales(&self) -> Vec<&str> {
        let mut locales: Vec<&str> = self.body.locales.list.iter().map(String::as_str).collect();
        for more in self.body.assets.values().flat_map(|asset| &asset.more_locales) {
            if !locales.iter().any(|known| same_locale(known, more)) {
                locales.push(more);
            }
        }
        locales
    }

    /// Margin that words keep from the edge, as a fraction of the shorter side.
    pub fn safe_area(&self) -> Option<f64> {
        self.body.output.safe_area
    }

    /// Brand colours of a template, or the manifest's.
    fn brand<'a>(&'a self, template: Option<&'a body::Template>) -> &'a [Rgb] {
        template.and_then(|template| template.brand.as_deref()).unwrap_or(&self.body.brand)
    }

    /// The tier of an asset.
    fn tier(&self, template: Option<&body::Template>, asset: &body::Asset) -> Tier {
        asset.tier.or(template.and_then(|template| template.tier)).or(self.body.tier).unwrap_or_default()
    }
}

/// `bytes` as text without its byte order mark.
pub(crate) fn text_of<'a>(label: &str, bytes: &'a [u8], bytes_max: usize) -> Result<&'a str, ManifestErrors> {
    let fault = |code, line, message: String, fix: String| {
        ManifestErrors::from(ManifestError {
            code,
            file: label.to_owned(),
            line,
            column: None,
            key: String::new(),
            message,
            fix,
        })
    };
    if bytes.len() > bytes_max {
        let message = format!("the file has {} bytes", bytes.len());
        return Err(fault(ErrorCode::TooLarge, None, message, format!("at most {bytes_max} are read: split it")));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        let message = "the file is UTF-16".to_owned();
        return Err(fault(ErrorCode::InvalidManifest, None, message, "save it as UTF-8".to_owned()));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|err| {
        let line = bytes[..err.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        fault(
            ErrorCode::InvalidManifest,
            Some(line),
            "the text is not UTF-8".to_owned(),
            "save the file as UTF-8".to_owned(),
        )
    })
}

/// Before everything else, for a newer manifest may be wrong in ways that only a newer version understands.
fn check_requires(source: &Source, tree: &toml::de::DeTable<'_>) -> Result<(), ManifestErrors> {
    let requires = tree.iter().find(|(key, _)| key.get_ref() == "requires");
    let Some(requires) = requires.and_then(|(_, value)| value.get_ref().as_str()) else { return Ok(()) };
    let version = env!("CARGO_PKG_VERSION");
    match version::admits(requires, version) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let message = format!("this is Thumbforge {version}, and the manifest requires {requires:?}");
            let fix = "install a version that it admits, or change `requires`";
            Err(source.error(ErrorCode::VersionMismatch, &["requires"], message, fix).into())
        }
        Err(what) => {
            let fix = "write it as \">=0.1\" or \">=0.1, <2\"";
            Err(source.error(ErrorCode::InvalidManifest, &["requires"], what, fix).into())
        }
    }
}

/// Before the schema, which only knows that there is no such key. A manifest comes with a pull request: one that could say
/// where a key is sent, or which, could send a secret of the build machine anywhere.
fn check_bindings(source: &Source, tree: &toml::de::DeTable<'_>) -> Result<(), ManifestErrors> {
    let accounts = tree.iter().find(|(key, _)| key.get_ref() == "accounts");
    let Some(accounts) = accounts.and_then(|(_, value)| value.get_ref().as_table()) else { return Ok(()) };
    let mut gathered = Gathered::default();
    for (name, account) in accounts {
        for (key, _) in account.get_ref().as_table().into_iter().flatten() {
            let key: &str = key.get_ref();
            if BINDINGS.contains(&key) {
                let message =
                    format!("a manifest cannot say the {key} of an account: it comes with every pull request");
                let fix = "put it under [accounts] of your own settings, or of the file that --config names";
                let path = ["accounts", name.get_ref(), key];
                gathered.push(source.error(ErrorCode::InvalidManifest, &path, message, fix));
            }
        }
    }
    gathered.or(())
}

/// Keys that bind an account to a secret or an address.
const BINDINGS: [&str; 8] = ["key", "api_key", "token", "base_url", "url", "protocol", "options", "allow_private"];

/// What a reader says of a file that its schema took.
fn unreadable(label: &str, text: &str, err: &toml::de::Error) -> ManifestErrors {
    let place = err.span().map(|span| position(text, span.start));
    ManifestErrors::from(ManifestError {
        code: ErrorCode::InvalidManifest,
        file: label.to_owned(),
        line: place.map(|place| place.0),
        column: place.map(|place| place.1),
        key: String::new(),
        message: err.message().to_owned(),
        fix: String::new(),
    })
}

fn syntax_errors(label: &str, text: &str, mistakes: &[toml::de::Error]) -> ManifestErrors {
    let mut gathered = Gathered::default();
    for mistake in mistakes {
        // A file that is no TOML at all has a mistake on every line, and placing one counts lines.
        if gathered.full() {
            gathered.count_only();
            continue;
        }
        let place = mistake.span().map(|span| position(text, span.start));
        gathered.push(ManifestError {
            code: ErrorCode::InvalidManifest,
            file: label.to_owned(),
            line: place.map(|place| place.0),
            column: place.map(|place| place.1),
            key: String::new(),
            message: mistake.message().to_owned(),
            fix: "mend the TOML here".to_owned(),
        });
    }
    match gathered.or(()) {
        Err(errors) => errors,
        Ok(()) => ManifestErrors { errors: Vec::new(), more: mistakes.len() },
    }
}

#[cfg(test)]
mod tests;
