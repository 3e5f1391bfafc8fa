//! Tests of the policy as a whole: what layers mean together, what may be read, sample files.

mod layers;
mod load;
mod paths;
mod properties;
mod resolve;
mod samples;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::compile::Globs;
use super::load::Loaded;
use super::resolve::{Context, PolicyError, resolve};
use super::settings::RawLayer;
use super::{Layer, Policy, Source};
use crate::client::BuiltIn;

pub(super) fn layer(layer: Layer, name: &str, says: &Value) -> RawLayer {
    let path = Some(PathBuf::from(format!("/{name}.json")));
    let settings = super::parse::parse(says.to_string().as_bytes()).unwrap();
    RawLayer { source: Source { layer, path }, settings }
}

pub(super) fn context() -> Context<'static> {
    Context {
        globs: Globs {
            home: Path::new("/home/ann"),
            real_home: Path::new("/data/ann"),
            paths: super::spelling::Paths::default(),
        },
        built_in: Ok(BuiltIn::default()),
        invalid_user: super::resolve::InvalidUser::Stops,
    }
}

pub(super) fn resolved(layers: Vec<RawLayer>) -> Result<Policy, PolicyError> {
    resolve(Loaded { layers, ..Loaded::default() }, &context())
}

pub(super) fn told(error: &PolicyError) -> String {
    crate::error::chain(error)
}
