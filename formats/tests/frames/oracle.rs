//! Decoding against etherparse: whatever it finds in a whole, cut or damaged frame is found here, and equal.

use crate::damage::frame;
use afterpath_formats::frame::{LinkType, Wrapper, decode};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use proptest::collection::vec;
use proptest::prelude::*;

fn check(frame: &[u8]) {
    let headers = decode(LinkType::Ethernet, frame, frame.len() as u32);
    let Ok(oracle) = LaxSlicedPacket::from_ethernet(frame) else { return };
    let peeled =
        |wrapper: &Option<Wrapper>| matches!(wrapper, Some(w) if !matches!(w, Wrapper::Vlan(_)));
    if headers.wrappers.iter().any(peeled) {
        return;
    }
    let (source, payload) = match &oracle.net {
        Some(LaxNetSlice::Ipv4(ip)) => (ip.header().source().to_vec(), ip.payload()),
        Some(LaxNetSlice::Ipv6(ip)) => (ip.header().source().to_vec(), ip.payload()),
        _ => return,
    };
    // A total length shorter than the header: etherparse takes all bytes there are, here it is no payload.
    if matches!(&oracle.net, Some(LaxNetSlice::Ipv4(ip))
        if usize::from(ip.header().total_len()) < ip.header().slice().len())
    {
        return;
    }
    // An EtherType of one version before a header of the other: etherparse believes the header.
    let version = if source.len() == 4 { 0x0800 } else { 0x86dd };
    if oracle.ether_payload().is_none_or(|payload| payload.ether_type.0 != version) {
        return;
    }
    let network = headers.network.expect("etherparse found an IP header");
    assert_eq!(&network.source[..source.len()], source);
    let captured = headers.payload(frame);
    match oracle.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let ours = headers.tcp().expect("etherparse found TCP");
            assert_eq!(
                (ours.source_port, ours.destination_port),
                (tcp.source_port(), tcp.destination_port())
            );
            assert_eq!(
                (ours.sequence, ours.acknowledgment),
                (tcp.sequence_number(), tcp.acknowledgment_number())
            );
            assert_eq!(ours.window, tcp.window_size());
            assert_eq!((ours.flags & 1 != 0, ours.flags & 2 != 0), (tcp.fin(), tcp.syn()));
            assert_eq!(captured, tcp.payload());
            check_options(ours, &tcp);
        }
        Some(TransportSlice::Udp(udp)) => {
            let ports = (udp.source_port(), udp.destination_port());
            assert_eq!(headers.ports(), Some(ports));
            // A length of less than a UDP header: etherparse has its own idea of what that means.
            if udp.length() >= 8 {
                assert_eq!(captured, udp.payload());
            }
        }
        // Of an extension header in a fragment, etherparse shows the header, here it is stepped over.
        None if payload.fragmented
            && headers.transport.is_none()
            && payload.ip_number.0 == network.protocol =>
        {
            assert_eq!(captured, payload.payload);
        }
        _ => {}
    }
}

fn check_options(ours: &afterpath_formats::frame::Tcp, tcp: &etherparse::TcpSlice<'_>) {
    use etherparse::TcpOptionElement::*;
    for option in tcp.options_iterator().map_while(Result::ok) {
        match option {
            MaximumSegmentSize(_) => assert!(ours.mss.is_some()),
            WindowScale(_) => assert!(ours.window_scale.is_some()),
            Timestamp(_, _) => assert!(ours.timestamp_value.is_some()),
            _ => {}
        }
    }
    let first = |wanted: fn(&etherparse::TcpOptionElement) -> bool| {
        tcp.options_iterator().map_while(Result::ok).filter(wanted).last()
    };
    if let Some(Timestamp(value, echo)) = first(|option| matches!(option, Timestamp(..))) {
        assert_eq!((ours.timestamp_value, ours.timestamp_echo), (Some(value), Some(echo)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20480, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees(
        choices in vec(any::<u8>(), 16),
        payload in vec(any::<u8>(), 0..64),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut frame = frame(&choices, &payload, false);
        let whole = decode(LinkType::Ethernet, &frame, frame.len() as u32);
        let fragmented = whole.network.is_some_and(|network| network.fragment.is_some());
        prop_assert!(whole.transport.is_some() || fragmented);
        check(&frame);
        check(&frame[..cut.index(frame.len())]);
        for (place, value) in flips {
            let place = place.index(frame.len());
            frame[place] = value;
            check(&frame);
        }
    }
}
