//! Any bytes whatever, and any division of them into pieces.

use mooring_wire::frames::{ScanLimits, Scanner, Sender, check};
use proptest::collection::vec;
use proptest::prelude::*;

/// Bytes that are frames more often than chance makes them: every first byte, small lengths in every form.
fn frame_like() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![
        (0..126_u8).prop_map(|len| vec![len]),
        (0..300_u16).prop_map(|len| [&[126][..], &len.to_be_bytes()].concat()),
        (0..300_u64).prop_map(|len| [&[127][..], &len.to_be_bytes()].concat()),
        any::<u64>().prop_map(|len| [&[127][..], &len.to_be_bytes()].concat()),
    ];
    let payload = prop_oneof![
        vec(any::<u8>(), 0..140),
        Just(b"2probe".to_vec()),
        Just(b"\x03\xe8reason".to_vec()),
        Just(br#"{"meta_event_type":"heartbeat","interval":5000}"#.to_vec()),
    ];
    (any::<u8>(), length, any::<bool>(), payload).prop_map(|(first, mut length, masked, payload)| {
        if masked {
            length[0] |= 0x80;
        }
        let mask: &[u8] = if masked { &[0; 4] } else { &[] };
        [&[first], length.as_slice(), mask, &payload].concat()
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes(input in vec(any::<u8>(), 0..600)) {
        check::scanner(&input);
    }

    #[test]
    fn bytes_that_are_almost_frames(setting in any::<[u8; 2]>(), frames in vec(frame_like(), 0..12)) {
        check::scanner(&[&setting[..], &frames.concat()].concat());
    }

    /// A frame's header and the payload it announces, whatever the first byte: followed to the byte.
    #[test]
    fn the_frame_after_any_frame_is_found(first in any::<u8>(), len in 0..70_000_usize, mask in any::<[u8; 4]>()) {
        let mut stream = vec![first];
        match len {
            0..=125 => stream.push(0x80 | len as u8),
            126..=65_535 => stream.extend([&[0xfe][..], &(len as u16).to_be_bytes()].concat()),
            _ => stream.extend([&[0xff][..], &(len as u64).to_be_bytes()].concat()),
        }
        stream.extend(mask);
        stream.resize(stream.len() + len, 0xaa);
        let mut scanner = Scanner::new(Sender::Client, ScanLimits::default());
        prop_assert_eq!(scanner.scan(&stream, &mut |_| {}), Ok(()));
        prop_assert!(scanner.at_boundary());
        prop_assert_eq!(scanner.counts().frames, 1);
        prop_assert_eq!(scanner.counts().payload, len as u64);
    }
}
