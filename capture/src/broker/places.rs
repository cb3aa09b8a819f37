//! Where to look at a function so that looking costs least. Under a probe the kernel does some instructions itself (jumps, calls, pushes:
//! arch/x86/kernel/uprobes.c); any other one is a single step of the process and one more exception, and that one leaves a virtual
//! machine. Never a place that tells anything else than the entry or the return would.

use iced_x86::{
    Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, OpAccess,
    OpKind, Register,
};
use std::collections::BTreeSet;

/// A function's instructions, its first at 0.
pub(super) struct Body {
    instructions: Vec<Instruction>,
    /// Where its own jumps lead.
    targets: BTreeSet<u64>,
    length: u64,
}

impl Body {
    /// `None` where something is no instruction: then nothing else can be sure, either.
    pub(super) fn of(code: &[u8]) -> Option<Body> {
        let instructions: Vec<_> = Decoder::new(64, code, DecoderOptions::NONE).iter().collect();
        if instructions.iter().any(Instruction::is_invalid) {
            return None;
        }
        let targets = instructions.iter().filter_map(target).collect();
        Some(Body { instructions, targets, length: code.len() as u64 })
    }

    /// The cheapest place that is passed once, before anything else, with these registers as the caller left them; else the first.
    pub(super) fn entry(&self, arguments: &[Register]) -> u64 {
        let mut writes = Writes::new();
        for instruction in &self.instructions {
            let at = instruction.ip();
            if self.targets.iter().any(|target| (1..=at).contains(target)) {
                break;
            }
            if is_done_by_kernel(instruction) {
                return at;
            }
            let is_plain = instruction.flow_control() == FlowControl::Next;
            if !is_plain || arguments.iter().any(|one| writes.to(instruction, *one)) {
                break;
            }
        }
        0
    }

    /// Its return instructions.
    pub(super) fn returns(&self) -> Vec<u64> {
        let is_return = |i: &&Instruction| i.flow_control() == FlowControl::Return;
        self.instructions.iter().filter(is_return).map(Instruction::ip).collect()
    }

    /// Cheap places of which each way out passes one, with the result where the caller will find it; `None` where there are none for
    /// some way, or where it leaves by a jump.
    pub(super) fn cheap_returns(&self) -> Option<Vec<u64>> {
        let mut places = Vec::new();
        for (n, instruction) in self.instructions.iter().enumerate() {
            match instruction.flow_control() {
                FlowControl::Return => places.push(self.before_return(n)?),
                FlowControl::IndirectBranch => return None,
                FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
                    if target(instruction).is_none_or(|to| to >= self.length) =>
                {
                    return None;
                }
                _ => {}
            }
        }
        (!places.is_empty()).then_some(places)
    }

    /// The nearest place before the return `n` from which the way leads only there.
    fn before_return(&self, n: usize) -> Option<u64> {
        let mut writes = Writes::new();
        for at in (0..n).rev() {
            let instruction = &self.instructions[at];
            if self.targets.contains(&self.instructions[at + 1].ip()) {
                return None;
            }
            let leads_on = match instruction.flow_control() {
                FlowControl::Next => true,
                // The check of a stack's guard: whoever jumps is aborted.
                FlowControl::ConditionalBranch => self.aborts(target(instruction)?),
                _ => false,
            };
            if !leads_on {
                return None;
            }
            if is_done_by_kernel(instruction) {
                return Some(instruction.ip());
            }
            if writes.to(instruction, Register::RAX) {
                return None;
            }
        }
        None
    }

    /// Whether at this place stands a call that does not come back: nothing follows it.
    fn aborts(&self, at: u64) -> bool {
        let Ok(n) = self.instructions.binary_search_by_key(&at, Instruction::ip) else {
            return false;
        };
        let is_padding = |i: &Instruction| {
            i.mnemonic() == iced_x86::Mnemonic::Nop
                || i.code() == Code::Int3
                || i.code() == Code::Ud2
        };
        self.instructions[n].flow_control() == FlowControl::Call
            && self.instructions[n + 1..].iter().all(is_padding)
    }
}

/// Where a jump within the code leads.
fn target(instruction: &Instruction) -> Option<u64> {
    let is_jump = matches!(
        instruction.flow_control(),
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
    );
    let is_near = matches!(instruction.op0_kind(), OpKind::NearBranch64);
    // Before the code it is a large number.
    (is_jump && is_near).then(|| instruction.near_branch_target())
}

/// `branch_setup_xol_ops` and `push_setup_xol_ops`: near jumps and calls, and pushes of a whole register.
fn is_done_by_kernel(instruction: &Instruction) -> bool {
    let is_branch = match instruction.flow_control() {
        FlowControl::UnconditionalBranch | FlowControl::Call => true,
        // Not those that count in rcx: they are not among the sixteen conditions.
        FlowControl::ConditionalBranch => instruction.is_jcc_short_or_near(),
        _ => false,
    };
    let is_near = instruction.op0_kind() == OpKind::NearBranch64 && !has_prefix(instruction);
    is_branch && is_near || instruction.code() == Code::Push_r64 && instruction.len() <= 2
}

/// Longer than its operation and distance: prefixed, as for `notrack` or alignment.
fn has_prefix(instruction: &Instruction) -> bool {
    let plain = match instruction.code() {
        Code::Jmp_rel8_64 => 2,
        Code::Jmp_rel32_64 | Code::Call_rel32_64 => 5,
        _ if instruction.is_jcc_short() => 2,
        _ => 6,
    };
    instruction.len() != plain
}

/// What instructions write.
struct Writes(InstructionInfoFactory);

impl Writes {
    fn new() -> Writes {
        Writes(InstructionInfoFactory::new())
    }

    fn to(&mut self, instruction: &Instruction, register: Register) -> bool {
        let used = self.0.info(instruction).used_registers();
        used.iter().any(|one| {
            let is_read =
                matches!(one.access(), OpAccess::Read | OpAccess::CondRead | OpAccess::None);
            !is_read && one.register().full_register() == register
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ARGUMENTS: [Register; 3] = [Register::RDI, Register::RSI, Register::RDX];

    fn check(code: &[u8], entry: u64, exits: Option<&[u64]>) {
        let body = Body::of(code).expect("instructions");
        assert_eq!(body.entry(&ARGUMENTS), entry);
        assert_eq!(body.cheap_returns().as_deref(), exits);
    }

    #[test]
    fn a_function_that_checks_its_stack_has_cheap_places() {
        // sub rsp, 24; test edx, edx; js +3; call +0x100; mov rdx, [rsp + 8]; jne +6; add rsp, 24; xor edx, edx; ret; call +0x100
        let code = [
            &[0x48, 0x83, 0xec, 0x18, 0x85, 0xd2, 0x78, 0x05, 0xe8, 0, 1, 0, 0][..],
            &[0x48, 0x8b, 0x54, 0x24, 0x08, 0x75, 0x07, 0x48, 0x83, 0xc4, 0x18, 0x31, 0xd2, 0xc3],
            &[0xe8, 0, 1, 0, 0],
        ]
        .concat();
        check(&code, 6, Some(&[18]));
        // The same with code behind the call: it may come back.
        check(&[&code[..], &[0x31, 0xc0, 0xeb, 0xf3]].concat(), 6, None);
    }

    #[test]
    fn places_that_would_tell_something_else_are_left() {
        // xor edi, edi; je +0; ret: the argument is gone, and the jump leads here and there.
        check(&[0x31, 0xff, 0x74, 0x00, 0xc3], 0, None);
        // push rbx; pop rbx; jmp rax: it leaves by a jump.
        check(&[0x53, 0x5b, 0xff, 0xe0], 0, None);
        // test edi, edi; jne -4; ret: a loop passes the place more than once.
        check(&[0x85, 0xff, 0x85, 0xff, 0x75, 0xfc, 0xc3], 0, None);
        // nop; call +0; mov eax, 1; ret: the result is written behind the call.
        check(&[0x90, 0xe8, 0, 0, 0, 0, 0xb8, 1, 0, 0, 0, 0xc3], 1, None);
        // mov ecx, ecx; jrcxz +0; ret: not done by the kernel.
        check(&[0x89, 0xc9, 0xe3, 0x00, 0xc3], 0, None);
        assert!(Body::of(&[0xc3, 0x06]).is_none(), "no instruction of this mode");
    }

    #[test]
    fn every_return_is_found_and_no_other_byte() {
        // mov eax, 0xc3; test eax, eax; je +1; ret; xor eax, eax; ret
        let code = [0xb8, 0xc3, 0, 0, 0, 0x85, 0xc0, 0x74, 0x01, 0xc3, 0x31, 0xc0, 0xc3];
        assert_eq!(Body::of(&code).expect("instructions").returns(), [9, 12]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(code in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(body) = Body::of(&code) {
                let boundaries: BTreeSet<u64> = body.instructions.iter().map(Instruction::ip).collect();
                let places = body.cheap_returns().unwrap_or_default();
                prop_assert!(places.iter().chain(&body.returns()).all(|at| boundaries.contains(at)));
                prop_assert!(code.is_empty() || boundaries.contains(&body.entry(&ARGUMENTS)));
            }
        }
    }
}
