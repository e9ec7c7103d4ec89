//! The models there are, and how each would take sampling settings that were written for another.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use thumbforge_core::error::ErrorCode;
use thumbforge_core::image::Extent;
use thumbforge_core::job::{JobSpec, Lane, Route};
use thumbforge_core::model::ModelRow;
use thumbforge_core::recipe::{Recipe, Settings};
use thumbforge_core::sampling::{Table, Translation};

use super::asked;
use super::body::Name;
use super::refusal::Refusal;
use super::{Door, body, fields};
use crate::intake::{Intake, in_thread};

/// `GET /v1/models`.
///
/// Whether a model is here may take the reading of files of weights, so it is asked on a thread.
pub(super) async fn list(State(door): State<Arc<Door>>) -> Result<Json<Value>, Refusal> {
    let (intake, market) = (door.intake.clone(), door.intake.market());
    let views = move || Ok(market.catalogue.rows().iter().map(|row| view(&intake, row)).collect::<Vec<Value>>());
    let data = in_thread(views).await?;
    Ok(Json(json!({ "object": "list", "data": data })))
}

/// `GET /v1/models/{name}`, by any spelling.
pub(super) async fn one(State(door): State<Arc<Door>>, Name(name): Name) -> Result<Json<Value>, Refusal> {
    let market = door.intake.market();
    let row = market.catalogue.resolve(&name).map_err(|err| {
        Refusal::new(ErrorCode::UnknownModel, format!("failed to {err}"))
            .with_param("model")
            .with_status(StatusCode::NOT_FOUND)
    })?;
    let (intake, row) = (door.intake.clone(), row.clone());
    Ok(Json(in_thread(move || Ok(view(&intake, &row))).await?))
}

fn view(intake: &Intake, row: &ModelRow) -> Value {
    json!({
        "id": row.id,
        "object": "model",
        // The catalogue has no dates, and the original's clients insist on one.
        "created": 0,
        "owned_by": "thumbforge",
        "name": row.name,
        "family": row.family,
        "aliases": row.aliases,
        "provider": row.provider,
        "retired_on": row.retired_on,
        "replacement": row.replacement,
        "available": route(intake, row, Settings::default()).is_some(),
    })
}

/// Where this model would draw here, dropping what it must; `None` when it is not here.
fn route(intake: &Intake, row: &ModelRow, settings: Settings) -> Option<Route> {
    let size = Extent { width: 512, height: 512 };
    let recipe = Recipe { model: Some(row.id.clone()), settings, ..Recipe::from_prompt("a model's route", size) };
    let spec = JobSpec { lossy: true, ..JobSpec::new(recipe, Lane::Interactive, "") };
    intake.route(&spec).ok()
}

/// `POST /sample {"sampler","steps","guidance"}`: what each model would be given for these settings.
///
/// What a model would be given follows from its engine where that is here, and from the table where it is not.
pub(super) async fn sample(State(door): State<Arc<Door>>, request: Request<Body>) -> Result<Json<Value>, Refusal> {
    let mut fields = body::fields(request.into_body()).await?;
    let fields = &mut fields;
    let market = door.intake.market();
    let only = fields::text(fields, &["model"])?;
    let only = only.map(|name| asked::resolve(&market.catalogue, &name)).transpose()?;
    let mut settings = asked::settings(fields)?;
    // These are not sampling.
    (settings.strength, settings.composition, settings.subject) = (None, None, None);
    (settings.mask_feather, settings.mask_mode) = (None, None);
    let size = Extent { width: 512, height: 512 };
    let checked = Recipe { settings: settings.clone(), ..Recipe::from_prompt("settings", size) }.normalised();
    checked.map_err(|err| Refusal::new(ErrorCode::InvalidRequest, format!("failed to {err}")))?;

    let table = Table::built_in();
    if let Some(name) = &settings.sampler
        && table.sampler(name).is_none()
    {
        return Err(Refusal::field("sampler", format!("find the sampler: there are {}", table.names().join(", "))));
    }
    let (intake, asked) = (door.intake.clone(), settings.clone());
    let models = in_thread(move || {
        let rows = market.catalogue.rows().iter().filter(|row| only.as_ref().is_none_or(|only| row.id == *only));
        Ok(rows.map(|row| translated(&intake, row, &asked, &table)).collect::<Vec<Value>>())
    });
    let models = models.await?;
    Ok(Json(json!({ "asked": settings, "models": models })))
}

fn translated(intake: &Intake, row: &ModelRow, settings: &Settings, table: &Table) -> Value {
    let here = route(intake, row, settings.clone());
    let Translation { given, mut dropped, mut notes } = table.translate(row, settings);
    let mut given = json!(given);
    if let Some(route) = &here
        && let Some(settings) = given.as_object_mut()
    {
        for field in &route.realisation.dropped {
            settings.remove(field);
            dropped.push(field.clone());
        }
        dropped.sort_unstable();
        dropped.dedup();
    }
    if here.is_none() {
        notes.push("not on this machine".to_owned());
    }
    json!({
        "model": row.id,
        "available": here.is_some(),
        "settings": given,
        "dropped": dropped,
        "notes": notes,
    })
}
