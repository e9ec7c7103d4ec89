//! The table of the manifest about pictures that leave the project: whose they are, and what others may do with them.
//!
//! It decides no pixel and stands in no key: changing it draws nothing anew. `thumbforge export` writes it into copies.

use schemars::JsonSchema;
use serde::Deserialize;

/// What exported copies say of whose they are, in the fields of IPTC's photo metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Export {
    /// Who made the pictures, as in "Example Studio" (dc:creator).
    pub creator: Option<String>,
    /// What is to be printed beside them (photoshop:Credit).
    pub credit: Option<String>,
    /// The copyright notice, as in "© 2026 Example Studio" (dc:rights).
    pub copyright: Option<String>,
    /// The address of a page with the terms of use (xmpRights:WebStatement).
    pub terms: Option<String>,
    /// Whether others may mine the pictures for data and train models on them (plus:DataMining). Absent says nothing of it.
    pub data_mining: Option<DataMining>,
}

/// Whether pictures may be mined for data: the terms of the PLUS Coalition's vocabulary that need no further text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DataMining {
    /// Allowed.
    Allowed,
    /// Not to train models.
    NoTraining,
    /// Not to train generative models.
    NoGenerativeTraining,
    /// Only for the index of a search engine.
    SearchOnly,
    /// Not at all.
    Prohibited,
}

impl DataMining {
    /// The term's address in the vocabulary (`http://ns.useplus.org/ldf/vocab/`).
    pub const fn uri(self) -> &'static str {
        match self {
            Self::Allowed => "http://ns.useplus.org/ldf/vocab/DMI-ALLOWED",
            Self::NoTraining => "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING",
            Self::NoGenerativeTraining => "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-GENAIMLTRAINING",
            Self::SearchOnly => "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING",
            Self::Prohibited => "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED",
        }
    }
}
