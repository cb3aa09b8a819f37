//! Planted ids: what in them names the trace. W3C Trace Context (in headers, in SQL comments), B3, Jaeger, SkyWalking, OpenCensus,
//! Datadog, and request ids that proxies pass on. Never trusts an id further than to narrow the possible parents.

/// The parts of planted ids that name a trace: (field, value).
pub(super) fn trace_ids(ids: &[(String, String)]) -> Vec<(&str, &str)> {
    ids.iter()
        .filter_map(|(field, value)| Some((field.as_str(), trace_part(field, value)?)))
        // Zeros are no id, nor are the stars that a recorder wrote over a credential.
        .filter(|(_, value)| value.bytes().any(|b| !matches!(b, b'0' | b'*')))
        .collect()
}

/// The printable reason if `others` bear one of `own`.
pub(super) fn shared(own: &[(&str, &str)], others: &[(String, String)]) -> Option<String> {
    let others = trace_ids(others);
    let id = own.iter().find(|id| others.contains(id))?;
    Some(format!("{} {}", id.0, id.1))
}

fn trace_part<'a>(field: &str, value: &'a str) -> Option<&'a str> {
    let part = match field {
        "traceparent" => value.split('-').nth(1)?,
        "b3" => value.split('-').next()?,
        "uber-trace-id" => value.split(':').next()?,
        "sw8" | "sw6" => value.split('-').nth(1)?,
        "x-b3-spanid" | "x-b3-parentspanid" | "tracestate" => return None,
        "x-amzn-trace-id" => {
            value.split(';').find_map(|kv| kv.trim().strip_prefix("Root=")).unwrap_or(value)
        }
        "x-cloud-trace-context" => value.split('/').next()?,
        "request-id" => value.trim_start_matches('|').split('.').next()?,
        // OpenCensus' binary format in base64: version, field number and 16 bytes of trace id are its first 24 digits.
        "grpc-trace-bin" => value.get(..24)?,
        _ => value,
    };
    (part.len() >= 8).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(field: &str, value: &str, expected: Option<&str>) {
        assert_eq!(trace_part(field, value), expected);
    }

    #[test]
    fn the_trace_is_named_by_one_part() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        check("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01"), Some(trace));
        check("b3", &format!("{trace}-e457b5a2e4d86bd1-1"), Some(trace));
        check("uber-trace-id", &format!("{trace}:1:0:1"), Some(trace));
        check("x-request-id", "short", None);
        let binary = "AABL+S81d7NNpqPOkp0ODkc2AQDwZ6oLqQK3AgE=";
        check("grpc-trace-bin", binary, Some("AABL+S81d7NNpqPOkp0ODkc2"));
        check("grpc-trace-bin", "AABL", None);
        check("request-id", &format!("|{trace}.00f067aa0ba902b7."), Some(trace));
        check("x-b3-spanid", "e457b5a2e4d86bd1", None);
        check("x-order", "order-0007", Some("order-0007"));
        check("x-order", "order-7", None);
    }

    #[test]
    fn what_was_masked_names_nothing() {
        let shared = |value: &str| {
            let ids = [("x-session".to_owned(), value.to_owned())];
            shared(&trace_ids(&ids), &ids)
        };
        assert_eq!(shared("*".repeat(16).as_str()), None);
        assert_eq!(shared("0000000000000000"), None);
        assert_eq!(shared("a-session-of-1").as_deref(), Some("x-session a-session-of-1"));
    }
}
