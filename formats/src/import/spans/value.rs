//! Numbers, ids, times and attributes as JSON of tracers writes them: numbers may stand as texts, ids in either case. Never fails:
//! what makes no sense is absent.

use serde_json::{Map, Value};

/// A whole number, also as text or as a fraction of nothing.
pub(super) fn whole(value: &Value) -> Option<i128> {
    match value {
        Value::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or(number.as_u64().map(i128::from))
            .or(number.as_f64().filter(|n| n.is_finite()).map(|n| n as i128)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A time or duration in units of so many nanoseconds; absent where 64 bits can't hold it.
pub(super) fn ns(value: Option<&Value>, unit_ns: i128) -> Option<i64> {
    let ns = whole(value?)?.checked_mul(unit_ns)?;
    i64::try_from(ns).ok()
}

/// An id of at most 32 hexadecimal digits, as a number; 0 is none (W3C Trace Context).
pub(super) fn id(value: Option<&Value>) -> Option<u128> {
    let text = value?.as_str()?.trim();
    let is_hex =
        !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let id = is_hex.then(|| u128::from_str_radix(text, 16).ok())??;
    (id != 0).then_some(id)
}

/// A span's id: 64 bits.
pub(super) fn span_id(value: Option<&Value>) -> Option<u64> {
    u64::try_from(id(value)?).ok()
}

/// An OTLP `AnyValue` without its wrapping; lists and maps as their JSON.
pub(super) fn any_value(value: &Value) -> Option<Value> {
    let (kind, inner) = value.as_object()?.iter().next()?;
    match kind.as_str() {
        "stringValue" | "boolValue" | "doubleValue" | "bytesValue" => Some(inner.clone()),
        "intValue" => whole(inner).and_then(|n| i64::try_from(n).ok()).map(Value::from),
        "arrayValue" => {
            let values = inner.get("values").and_then(Value::as_array)?;
            let values: Vec<Value> = values.iter().filter_map(any_value).collect();
            Some(Value::String(Value::Array(values).to_string()))
        }
        "kvlistValue" => Some(Value::String(inner.to_string())),
        _ => None,
    }
}

/// A list of `{key, value}` as a map; of a key given twice the last counts.
pub(super) fn pairs(
    list: Option<&Value>,
    value_of: fn(&Value) -> Option<Value>,
) -> Map<String, Value> {
    let list = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let pair = |entry: &Value| {
        let key = entry.get("key")?.as_str()?.to_string();
        Some((key, value_of(entry.get("value")?)?))
    };
    list.iter().filter_map(pair).collect()
}

/// The first of these keys that has a text, which is not empty.
pub(super) fn first_text(of: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    let text = |key: &&str| of.get(*key)?.as_str().filter(|text| !text.is_empty());
    keys.iter().find_map(text).map(str::to_string)
}

/// A map as it stands in the table: nothing for an empty one.
pub(super) fn json(map: Map<String, Value>) -> Option<String> {
    (!map.is_empty()).then(|| Value::Object(map).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(value: Value, as_ns: Option<i64>, as_id: Option<u128>) {
        assert_eq!((ns(Some(&value), 1_000), id(Some(&value))), (as_ns, as_id), "{value}");
    }

    #[test]
    fn times_and_ids_in_every_writing() {
        check(json!(7), Some(7_000), None);
        check(json!("7"), Some(7_000), Some(7));
        check(json!(1e3), Some(1_000_000), None);
        check(json!(u64::MAX), None, None);
        check(json!(1e300), None, None);
        check(json!(-5), Some(-5_000), None);
        check(json!("99999999999999999999999999999999999999999"), None, None);
        check(json!("4BF92f"), None, Some(0x4b_f92f));
        check(json!("+4b"), None, None);
        check(json!("0000"), Some(0), None);
        check(json!([]), None, None);
    }
}
