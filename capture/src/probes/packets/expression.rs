//! Filter expressions in the syntax of pcap-filter(7), compiled by a library and carried from Ethernet's offsets over to the network
//! header's: one program serves the devices of a namespace, whatever their link layer. Never a word about link layers, therefore.

use super::program::{LOAD_WORD, NETWORK, PROTOCOL, RETURN};
use crate::error::{Error, Result};
use crate::kernel::Instruction;
use pktbaffle::ast::{Expr, Primitive, Proto};
use pktbaffle::{LinkType, codegen};

/// Bytes of an Ethernet header; its type stands at the twelfth.
const ETHERNET: u32 = 14;
const ETHERNET_TYPE: u32 = 12;

/// Loads from fixed places, from places behind the IPv4 header, and of that header's length (include/uapi/linux/bpf_common.h).
const LOAD_HALF: u16 = 0x28;
const LOADS: [u16; 7] = [0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0xb1];

/// What the kernel takes at most (`BPF_MAXINSNS`).
const MAX_INSTRUCTIONS: usize = 4096;

/// Frames that `text` matches and, where ports are named, that have one of them; `snap_length` bytes of each.
pub(super) fn program(text: &str, ports: &[u16], snap_length: u32) -> Result<Vec<Instruction>> {
    let refused = |why: String| Error::BadArguments(format!("--filter `{text}`: {why}"));
    let ports: Vec<_> = ports.iter().map(|port| format!("port {port}")).collect();
    let whole = match ports.is_empty() {
        true => text.to_string(),
        false => format!("({text}) and ({})", ports.join(" or ")),
    };
    let parsed = pktbaffle::parse(&whole).map_err(|error| refused(error.to_string()))?;
    let meant = meant(parsed).map_err(|what| refused(format!("{what} can't be filtered by")))?;
    let compiled = codegen::compile(&meant, LinkType::Ethernet);
    let compiled = compiled.map_err(|error| refused(error.to_string()))?;
    let instructions = compiled.instructions();
    if instructions.is_empty() || instructions.len() > MAX_INSTRUCTIONS {
        return Err(refused(format!("{} instructions", instructions.len())));
    }
    let carried = instructions.iter().map(|instruction| {
        let mut carried = Instruction {
            code: instruction.code,
            if_true: instruction.jt,
            if_false: instruction.jf,
            value: instruction.k,
        };
        match instruction.code {
            LOAD_HALF if instruction.k == ETHERNET_TYPE => {
                (carried.code, carried.value) = (LOAD_WORD, PROTOCOL);
            }
            code if LOADS.contains(&code) && instruction.k >= ETHERNET => {
                carried.value = NETWORK.wrapping_add(instruction.k - ETHERNET);
            }
            code if LOADS.contains(&code) => {
                return Err(refused("it looks into the link layer".to_string()));
            }
            RETURN if instruction.k != 0 => carried.value = snap_length,
            _ => {}
        }
        Ok(carried)
    });
    carried.collect()
}

/// The expression as pcap-filter(7) means it: a transport is one over IPv4 or IPv6. What asks about the link layer is named.
fn meant(expression: Expr) -> std::result::Result<Expr, String> {
    let both = |a: Expr, b: Expr| Ok((Box::new(meant(a)?), Box::new(meant(b)?)));
    match expression {
        Expr::And(a, b) => both(*a, *b).map(|(a, b)| Expr::And(a, b)),
        Expr::Or(a, b) => both(*a, *b).map(|(a, b)| Expr::Or(a, b)),
        Expr::Not(a) => Ok(Expr::Not(Box::new(meant(*a)?))),
        Expr::Primitive(primitive) => of_primitive(primitive),
        other => Err(format!("{other:?}")),
    }
}

fn of_primitive(primitive: Primitive) -> std::result::Result<Expr, String> {
    let over_both = |proto: Proto, number: u8| {
        let [v4, v6] = [proto, Proto::Ip6Proto(number)]
            .map(|proto| Box::new(Expr::Primitive(Primitive::Proto(proto))));
        Ok(Expr::Or(v4, v6))
    };
    match primitive {
        Primitive::Proto(Proto::Tcp) => over_both(Proto::Tcp, 6),
        Primitive::Proto(Proto::Udp) => over_both(Proto::Udp, 17),
        Primitive::Proto(Proto::Sctp) => over_both(Proto::Sctp, 132),
        Primitive::Host { .. }
        | Primitive::Port { .. }
        | Primitive::PortRange { .. }
        | Primitive::Net { .. }
        | Primitive::Net6 { .. }
        | Primitive::Proto(_)
        | Primitive::IpBroadcast
        | Primitive::IpMulticast
        | Primitive::Ip6Multicast
        | Primitive::Len { .. } => Ok(Expr::Primitive(primitive)),
        // The library forgets which protocol's bytes they are, and looks at those of any.
        Primitive::ByteAccess(_) => Err("bytes at offsets".to_string()),
        other => Err(format!("{other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: std::result::Result<(), &str>) {
        let found = program(text, &[], 96).map(drop).map_err(|error| error.to_string());
        match expected {
            Ok(()) => assert_eq!(found, Ok(()), "{text}"),
            Err(why) => {
                assert!(found.as_ref().is_err_and(|e| e.contains(why)), "{text}: {found:?}")
            }
        }
    }

    #[test]
    fn what_can_be_filtered_and_what_not() {
        check("tcp port 80", Ok(()));
        check("ip6 and udp and not net fe80::/10", Ok(()));
        check("host 10.0.0.1 and (portrange 1000-2000 or icmp)", Ok(()));
        check("ether host 00:11:22:33:44:55", Err("can't be filtered by"));
        check("vlan 7 and tcp", Err("can't be filtered by"));
        check("tcp[13] & 4 != 0", Err("bytes at offsets can't be filtered by"));
        check("tcp prot 80", Err("--filter"));
        check("", Err("--filter"));
    }

    #[test]
    fn matches_keep_the_snap_length() {
        let code = program("udp", &[53], 96).expect("it compiles");
        let kept: Vec<u32> =
            code.iter().filter(|i| i.code == RETURN).map(|instruction| instruction.value).collect();
        assert!(kept.contains(&96) && kept.contains(&0) && kept.len() == 2, "{kept:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "[a-z0-9 ()!&|./:=<>\\[\\]-]{0,60}") {
            let _ = program(&text, &[80], 96);
        }

        #[test]
        fn any_words_are_survived(words in prop::collection::vec(
            prop::sample::select(vec!["tcp", "udp", "ip", "ip6", "port", "host", "net", "src", "dst", "and", "or", "not", "(", ")",
                "80", "10.0.0.1", "fe80::1", "10.0.0.0/8", "portrange", "1-2", "proto", "icmp", "greater", "less", "len", "[0]", "&", "=", "tcp[13]", "!"]), 0..12)) {
            let _ = program(&words.join(" "), &[], 96);
        }
    }
}
