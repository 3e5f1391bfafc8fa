//! Tests of adding a hook to settings and taking it out again.

use super::*;
use proptest::prelude::*;
use serde_json::json;

fn group() -> Value {
    json!({ "hooks": [{ "type": "command", "command": "(nohup /p enforce --yes &) # ours", "timeout": 5 }] })
}

fn ours(command: &str) -> bool {
    command.ends_with("# ours")
}

fn added(text: &str) -> (String, String) {
    let insertion = insert(text, &group()).unwrap();
    (insertion.apply(text), insertion.text)
}

#[test]
fn a_hook_is_added_in_the_style_of_the_file() {
    let (text, _) = added("{\n  \"model\": \"x\",\n  \"hooks\": {\n    \"Stop\": []\n  }\n}\n");
    assert_eq!(
        text,
        r#"{
  "model": "x",
  "hooks": {
    "Stop": [],
    "SessionEnd": [
      {
        "hooks": [
          {
            "type": "command",
            "command": "(nohup /p enforce --yes &) # ours",
            "timeout": 5
          }
        ]
      }
    ]
  }
}
"#
        .replace(
            "\"type\": \"command\",\n            \"command\": \"(nohup /p enforce --yes &) # ours\",\n            \"timeout\": 5",
            // The order of keys in an object is the serializer's: sorted.
            "\"command\": \"(nohup /p enforce --yes &) # ours\",\n            \"timeout\": 5,\n            \"type\": \"command\""
        )
    );
    let (text, _) = added(r#"{"a":1,"hooks":{"SessionEnd":[]}}"#);
    assert!(!text.contains(' ') || !text.contains(": "), "{text}");
    let (text, _) = added("{\r\n\t\"a\": 1\r\n}");
    assert!(text.contains("\r\n\t\"hooks\": {\r\n\t\t\"SessionEnd\": [\r\n\t\t\t{"), "{text}");
    assert!(text.replace("\r\n", "").find('\n').is_none());
}

const SHAPES: &[&str] = &[
    "{}",
    "{}\n",
    "{ }",
    "{\n}\n",
    "{\n\n  }",
    " \n{ \"z\" : 1 , \"a\" : { } }\n\n",
    r#"{"z":1,"a":"hooks","hooks":{}}"#,
    "{\n  \"hooks\": {}\n}",
    "{\n  \"hooks\": { },\n  \"b\": [1,\n2]\n}",
    "{\n  \"hooks\": {\n    \"SessionEnd\": []\n  }\n}",
    "{\n  \"hooks\": {\n    \"SessionEnd\": [ ]\n  }, \"q\": 1e400\n}",
    "{\n\t\"hooks\": {\"SessionEnd\": [{\"matcher\":\"clear\",\"hooks\":[{\"type\":\"command\",\"command\":\"x\"}]}]},\n\t\"n\": 1.10\n}",
    "{\r\n  \"hooks\": {\r\n    \"Stop\": [{\"hooks\": []}]\r\n  }\r\n}\r\n",
    "{\"hooks\":{\"SessionEnd\":[{\"hooks\":[{\"type\":\"command\",\"command\":\"y\"}]}],\"Stop\":[]},\"\\u0068ooks2\":\"\\ud83d\\ude00é\"}",
];

#[test]
fn taking_it_out_gives_every_byte_back() {
    for text in SHAPES {
        // A number no double holds is JSON all the same, but not to every reader: it may be refused.
        if serde_json::from_str::<Value>(text).is_err() {
            assert!(matches!(insert(text, &group()), Err(SpliceError::NotJson(..))));
            continue;
        }
        let (with, inserted) = added(text);
        let value: Value = serde_json::from_str(&with).unwrap();
        let last = value.pointer("/hooks/SessionEnd").unwrap().as_array().unwrap().last().unwrap();
        assert_eq!(last, &group(), "{text}");
        assert_eq!(installed(&with, &ours).unwrap().as_ref(), group().pointer("/hooks/0"));
        assert_eq!(remove(&with, &ours, Some(&inserted)).unwrap().as_deref(), Some(*text));
        assert_eq!(remove(text, &ours, Some(&inserted)).unwrap(), None);
        // Without the receipt, at most an empty list or the space in one is lost.
        let without = remove(&with, &ours, None).unwrap().unwrap();
        let emptied = |mut value: Value| {
            let object = value.as_object_mut().unwrap();
            if let Some(hooks) = object.get_mut("hooks").and_then(Value::as_object_mut) {
                hooks.retain(|name, list| name != EVENT || list != &json!([]));
                if hooks.is_empty() {
                    object.remove("hooks");
                }
            }
            value
        };
        let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(parsed(&without), emptied(parsed(text)), "{text}");
    }
}

#[test]
fn what_changed_meanwhile_stays() {
    let (with, inserted) = added("{}");
    // The client wrote the file anew, in its own style, with a key behind ours.
    let mut value: Value = serde_json::from_str(&with).unwrap();
    value["model"] = json!("x");
    value["hooks"]["SessionEnd"].as_array_mut().unwrap().push(json!({"hooks": [{"command": "theirs"}]}));
    value["hooks"]["SessionEnd"][0]["hooks"].as_array_mut().unwrap().push(json!({"command": "second"}));
    for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
        let without = remove(&text, &ours, Some(&inserted)).unwrap().unwrap();
        let without: Value = serde_json::from_str(&without).unwrap();
        assert_eq!(
            without,
            json!({"model": "x", "hooks": {"SessionEnd": [{"hooks": [{"command": "second"}]}, {"hooks": [{"command": "theirs"}]}]}})
        );
    }
    // A key added behind ours in a compact file: cutting out the bytes alone would leave a comma.
    let (with, inserted) = added(r#"{"hooks":{"SessionEnd":[]}}"#);
    let longer = with.replace("}]}}", "},1]}}");
    let without = remove(&longer, &ours, Some(&inserted));
    assert!(
        matches!(without, Err(SpliceError::Shape(_)))
            || serde_json::from_str::<Value>(&without.unwrap().unwrap()).is_ok()
    );
    let two = with.replace("]}]}}", "]},{\"hooks\":[]}]}}");
    let without = remove(&two, &ours, Some(&inserted)).unwrap().unwrap();
    assert_eq!(without, r#"{"hooks":{"SessionEnd":[{"hooks":[]}]}}"#);
}

#[test]
fn a_file_that_is_not_understood_is_refused() {
    for (text, error) in [
        ("", SpliceError::NotJson(1, 0)),
        ("{\"a\": 1,}", SpliceError::NotJson(1, 9)),
        ("{} // comment", SpliceError::NotJson(1, 4)),
        ("[]", SpliceError::Shape("the file")),
        ("{\"hooks\": []}", SpliceError::Shape("hooks")),
        ("{\"hooks\": {\"SessionEnd\": {}}}", SpliceError::Shape("SessionEnd")),
        ("{\"hooks\": {}, \"hooks\": {}}", SpliceError::Twice("hooks")),
    ] {
        assert_eq!(insert(text, &group()), Err(error.clone()), "{text}");
        assert_eq!(remove(text, &ours, None), Err(error), "{text}");
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~é\"\\\\{},:\\[\\]]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"{]{0,5}", inner, 0..4).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn any_settings_come_back_byte_for_byte(
        rest in prop::collection::btree_map("[a-z{\"]{1,6}", json_value(), 0..5),
        events in prop::option::of(prop::collection::btree_map("[A-Z][a-z]{1,5}", json_value(), 0..3)),
        groups in prop::option::of(prop::collection::vec(
            prop::collection::btree_map("[a-z]{1,4}", json_value(), 0..3), 0..3)),
        unit in prop::option::of("[ \t]{0,5}"),
    ) {
        let mut value = Value::from_iter(rest);
        if let Some(events) = events {
            value["hooks"] = Value::from_iter(events);
            if let Some(groups) = groups {
                value["hooks"][EVENT] = Value::Array(groups.into_iter().map(Value::from_iter).collect());
            }
        }
        let text = match unit {
            None => value.to_string(),
            Some(unit) => pretty(&value, &unit),
        };
        let (with, inserted) = added(&text);
        let mut expected = value.clone();
        if !expected["hooks"].is_object() { expected["hooks"] = json!({}); }
        if !expected["hooks"][EVENT].is_array() { expected["hooks"][EVENT] = json!([]); }
        expected["hooks"][EVENT].as_array_mut().unwrap().push(group());
        prop_assert_eq!(serde_json::from_str::<Value>(&with).unwrap(), expected);
        prop_assert_eq!(remove(&with, &ours, Some(&inserted)).unwrap().unwrap(), text.clone());
        let without = remove(&with, &ours, None).unwrap().unwrap();
        prop_assert!(serde_json::from_str::<Value>(&without).is_ok());
        prop_assert_eq!(remove(&without, &ours, None).unwrap(), None);
        // Where the lists were not empty before, the bytes come back without the receipt, too.
        let filled = value["hooks"].as_object().map_or(!value.as_object().unwrap().is_empty(), |hooks|
            hooks.get(EVENT).map_or(!hooks.is_empty(), |event| event != &json!([])));
        if filled {
            prop_assert_eq!(without, text);
        }
    }
}
