//! The filter that the kernel applies before it copies a frame, as classic BPF: which frames, and how many bytes of each. Never
//! depends on the link layer: offsets count from the network header.

use super::expression;
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::kernel::Instruction;

/// More would need jumps that classic BPF doesn't have.
const MAX_PORTS: usize = 60;

/// `SKF_NET_OFF`, `SKF_AD_OFF` (include/uapi/linux/filter.h).
pub(super) const NETWORK: u32 = -0x0010_0000_i32 as u32;
pub(super) const PROTOCOL: u32 = -0x1000_i32 as u32;

/// `BPF_LD | BPF_W | BPF_ABS` and relatives.
pub(super) const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_HALF_BEHIND_HEADER: u16 = 0x48;
const HEADER_LENGTH: u16 = 0xb1;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_SET: u16 = 0x45;
pub(super) const RETURN: u16 = 0x06;

/// Frames that `filter` wants, `snap_length` bytes of each: those with one of its ports at either end (none: all frames). Later fragments name no ports: they
/// are kept.
pub(super) fn program(filter: &Filter, snap_length: u32) -> Result<Vec<Instruction>> {
    let ports = filter.ports.as_slice();
    if let Some(text) = &filter.packets {
        return expression::program(text, ports, snap_length);
    }
    if ports.len() > MAX_PORTS {
        let why = format!("{} ports; packets can be filtered by at most {MAX_PORTS}", ports.len());
        return Err(Error::BadArguments(why));
    }
    if ports.is_empty() {
        return Ok(vec![op(RETURN, snap_length)]);
    }
    let is_v4 = [
        op(LOAD_BYTE, NETWORK + 9),
        jump(JUMP_EQUAL, 17, 1, 0),
        jump(JUMP_EQUAL, 6, 0, DROP),
        op(LOAD_HALF, NETWORK + 6),
        jump(JUMP_SET, 0x1fff, KEEP, 0),
        op(HEADER_LENGTH, NETWORK),
    ];
    let is_v6 = [
        op(LOAD_BYTE, NETWORK + 6),
        jump(JUMP_EQUAL, 44, KEEP, 0),
        jump(JUMP_EQUAL, 17, 1, 0),
        jump(JUMP_EQUAL, 6, 0, DROP),
    ];
    let mut code = vec![op(LOAD_WORD, PROTOCOL)];
    let v4: Vec<_> =
        is_v4.into_iter().chain(wanted(ports, LOAD_HALF_BEHIND_HEADER, NETWORK)).collect();
    let v6: Vec<_> = is_v6.into_iter().chain(wanted(ports, LOAD_HALF, NETWORK + 40)).collect();
    code.push(jump(JUMP_EQUAL, 0x0800, 0, v4.len() as u8));
    code.extend(v4);
    code.push(jump(JUMP_EQUAL, 0x86dd, 0, DROP));
    code.extend(v6);
    code.push(op(RETURN, 0));
    code.push(op(RETURN, snap_length));
    Ok(resolved(code))
}

/// Stand-ins for the last two instructions, until their distance is known.
const DROP: u8 = 254;
const KEEP: u8 = 255;

/// Compares both ports, then drops.
fn wanted(ports: &[u16], load: u16, at: u32) -> Vec<Instruction> {
    let mut code = Vec::new();
    for offset in [0, 2] {
        code.push(op(load, at + offset));
        code.extend(ports.iter().map(|port| jump(JUMP_EQUAL, u32::from(*port), KEEP, 0)));
    }
    code.push(op(RETURN, 0));
    code
}

/// Puts distances in the place of the stand-ins. The program is short enough for all of them but one: a jump to another family.
fn resolved(mut code: Vec<Instruction>) -> Vec<Instruction> {
    let n = code.len();
    for (at, instruction) in code.iter_mut().enumerate() {
        let distance = |target: u8| match target {
            DROP => (n - 2 - at - 1) as u8,
            KEEP => (n - 1 - at - 1) as u8,
            near => near,
        };
        if matches!(instruction.code, JUMP_EQUAL | JUMP_SET) {
            instruction.if_true = distance(instruction.if_true);
            instruction.if_false = distance(instruction.if_false);
        }
    }
    code
}

pub(super) fn op(code: u16, value: u32) -> Instruction {
    Instruction { code, if_true: 0, if_false: 0, value }
}

fn jump(code: u16, value: u32, if_true: u8, if_false: u8) -> Instruction {
    Instruction { code, if_true, if_false, value }
}
