//! Any frames, Ethernet and IP, against a host: reassembly, ARP, Neighbour Discovery, ICMP, UDP, and TCP's doors.
//! What holds is asserted in `stack::hostile`; the first eight octets seed the host's secret.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (seed, script) = data.split_at(data.len().min(8));
    let mut octets = [0; 8];
    octets[..seed.len()].copy_from_slice(seed);
    stack::hostile::live(script, u64::from_le_bytes(octets));
});
