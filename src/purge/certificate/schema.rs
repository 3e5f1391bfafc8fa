//! The JSON Schema of certificates, which is published beside the program.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::Certificate;

/// The file of the schema. A relative name: an address would promise that somebody serves it.
const SCHEMA_FILE: &str = "certificate.schema.json";

/// The JSON Schema of a certificate (draft 2020-12).
pub fn schema() -> Value {
    // Later versions may add keys and never take any away, so keys that it does not name are allowed.
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<Certificate>().to_value();
    if let Value::Object(root) = &mut schema {
        root.insert("$id".into(), SCHEMA_FILE.into());
        root.insert("title".into(), "ccretain certificate of a purge".into());
        root.insert(
            "description".into(),
            "What a purge by ccretain removed, looked at again and left, in the roots listed.".into(),
        );
    }
    schema
}
