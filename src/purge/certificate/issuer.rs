//! By what, by which policy and by whom a purge was done.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::escape::text;
use crate::policy::Policy;

/// The program that issued a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The day it was built (RFC 3339 date).
    pub built: String,
}

/// Which policy was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRef {
    /// SHA-256 (hex) of the resolved policy.
    pub sha256: String,
    /// Its layers, lowest first.
    pub layers: Vec<Layer>,
}

impl From<&Policy> for PolicyRef {
    fn from(policy: &Policy) -> Self {
        let layers = policy
            .sources
            .iter()
            .map(|source| Layer { source: source.layer.to_string(), path: source.path.as_ref().map(text) });
        Self { sha256: policy.digest.clone(), layers: layers.collect() }
    }
}

/// A layer of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// `built-in`, `system`, `user` or `managed`.
    pub source: String,
    /// The file; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Who had a purge done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    /// The name of the account.
    pub name: String,
    /// Its numeric id.
    pub uid: u32,
    /// Who became that account by `sudo`, as the environment says; absent where nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo_user: Option<String>,
    /// How it was consented to.
    pub consent: Witness,
    /// Whether it was done for every account of the machine.
    pub all_users: bool,
    /// The key that signs the certificate; absent where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
}

/// How a purge was consented to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Witness {
    /// Somebody typed it at a terminal.
    Terminal,
    /// It was given on the command line (`--yes`).
    CommandLine,
    /// Nothing was to be removed, so nobody was asked.
    Unneeded,
}

/// The key that signs a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Signer {
    /// Its fingerprint, as `ssh-keygen -l` shows it: `SHA256:…`.
    pub fingerprint: String,
    /// Its public half, as in a line of an allowed signers file.
    pub public_key: String,
    /// The namespace of the signature.
    pub namespace: String,
}
