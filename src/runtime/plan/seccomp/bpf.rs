//! A small assembler for classic BPF, written backwards.
//!
//! Jumps of BPF go forward only and conditional ones reach 255 instructions. Emitting the last instruction first makes
//! every target known when a jump to it is made; one out of reach gets an instruction of its own in between.

use crate::sys::seccomp::BpfInsn;

/// Operations (linux/bpf_common.h): class, size or source, mode or operator in one number.
pub(super) mod op {
    pub(in super::super) const LD_ABS: u16 = 0x20;
    pub(in super::super) const JA: u16 = 0x05;
    pub(in super::super) const JEQ: u16 = 0x15;
    pub(in super::super) const JGT: u16 = 0x25;
    pub(in super::super) const JGE: u16 = 0x35;
    pub(in super::super) const AND: u16 = 0x54;
    pub(in super::super) const RET: u16 = 0x06;
}

/// Where a jump leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// To the end, with this value; the instruction is made where it is needed.
    Ret(u32),
    /// To an instruction, counted from the program's end.
    At(usize),
}

/// A comparison of the accumulator with a constant, unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Eq,
    Gt,
    Ge,
}

/// How far a conditional jump goes.
const REACH: usize = u8::MAX as usize;

/// The program so far, last instruction first. An instruction's place is its index in here plus one.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    reversed: Vec<BpfInsn>,
    /// Where each return value was last emitted, for sharing.
    returns: Vec<(u32, usize)>,
}

impl Assembler {
    fn emit(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> usize {
        self.reversed.push(BpfInsn { code, jt, jf, k });
        self.reversed.len()
    }

    /// What a jump made now has to skip to come to `place`.
    fn distance(&self, place: usize) -> usize {
        self.reversed.len() - place
    }

    fn emit_far_jump(&mut self, place: usize) -> usize {
        let skip = u32::try_from(self.distance(place)).unwrap_or(u32::MAX);
        self.emit(op::JA, 0, 0, skip)
    }

    /// A place that leads to `target` and is near, even after one more instruction.
    fn near(&mut self, target: Target) -> usize {
        let value = match target {
            Target::At(place) if self.distance(place) < REACH => return place,
            Target::At(place) => return self.emit_far_jump(place),
            Target::Ret(value) => value,
        };
        let known = self.returns.iter().position(|(known, _)| *known == value);
        if let Some(at) = known {
            let place = self.returns[at].1;
            if self.distance(place) < REACH {
                return place;
            }
            self.returns.swap_remove(at);
        }
        let place = self.emit(op::RET, 0, 0, value);
        self.returns.push((value, place));
        place
    }

    /// `if accumulator TEST k goto yes else goto no`.
    pub(super) fn branch(&mut self, test: Test, k: u32, yes: Target, no: Target) -> Target {
        if yes == no {
            return yes;
        }
        let yes = self.near(yes);
        let no = self.near(no);
        let code = match test {
            Test::Eq => op::JEQ,
            Test::Gt => op::JGT,
            Test::Ge => op::JGE,
        };
        let skip = |place| u8::try_from(self.distance(place)).unwrap_or(u8::MAX);
        let (jt, jf) = (skip(yes), skip(no));
        Target::At(self.emit(code, jt, jf, k))
    }

    /// Emits an instruction that goes on at `next`; none if that is the end anyway.
    fn then(&mut self, code: u16, k: u32, next: Target) -> Target {
        match next {
            Target::Ret(_) => next,
            Target::At(place) => {
                if self.distance(place) > 0 {
                    self.emit_far_jump(place);
                }
                Target::At(self.emit(code, 0, 0, k))
            }
        }
    }

    /// `accumulator = u32 at offset of seccomp_data`, then `next`.
    pub(super) fn load(&mut self, offset: u32, next: Target) -> Target {
        self.then(op::LD_ABS, offset, next)
    }

    /// `accumulator &= mask`, then `next`.
    pub(super) fn mask(&mut self, mask: u32, next: Target) -> Target {
        self.then(op::AND, mask, next)
    }

    /// The program that starts at `entry`.
    pub(super) fn finish(mut self, entry: Target) -> Vec<BpfInsn> {
        let first = match entry {
            Target::At(place) => place,
            Target::Ret(value) => self.emit(op::RET, 0, 0, value),
        };
        self.reversed.truncate(first);
        self.reversed.reverse();
        self.reversed
    }

    /// A binary search of the accumulator over `steps`: sorted lower bounds, each with where to go from there up to
    /// the next. The first bound stands for everything below the second, whatever it is.
    pub(super) fn search(&mut self, steps: &[(u32, Target)]) -> Option<Target> {
        match steps {
            [] => None,
            [(_, only)] => Some(*only),
            [(_, below), (bound, hit), (next, above)] if *next == bound + 1 && below == above => {
                Some(self.branch(Test::Eq, *bound, *hit, *below))
            }
            _ => {
                let (low, high) = steps.split_at(steps.len() / 2);
                let bound = high[0].0;
                // The upper half first: it ends up behind the lower one.
                let high = self.search(high)?;
                let low = self.search(low)?;
                Some(self.branch(Test::Ge, bound, high, low))
            }
        }
    }
}
