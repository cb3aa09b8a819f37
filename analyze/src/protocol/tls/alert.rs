//! Alerts (RFC 8446 §6): names, and whose fault they tell of.

use super::super::{Half, Outcome, Side};
use super::record::Record;

/// The status where an alert is only known by its length.
pub(super) const ENCRYPTED: &str = "encrypted_alert";

/// The name of a fatal alert in this record; `None` for warnings, for `close_notify` and where it was not captured.
pub(super) fn fatal(half: &Half<'_>, record: &Record) -> Option<&'static str> {
    match *record.content(half) {
        [2, description] if description != 0 => Some(name(description)),
        _ => None,
    }
}

fn name(description: u8) -> &'static str {
    match description {
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => "unknown_alert",
    }
}

/// Who is to blame: the side that did not send it, but for an internal error.
pub(super) fn outcome(name: &str, from: Side) -> Outcome {
    match (name == "internal_error", from) {
        (false, Side::Client) | (true, Side::Server) => Outcome::ServerError,
        (true, Side::Client) | (false, Side::Server) => Outcome::ClientError,
    }
}
