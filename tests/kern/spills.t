#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No stack traffic in the loops where kernels spend their time: the objects are disassembled, and an innermost loop
that multiplies vectors may not move vectors to or from fixed places of the stack, where a register that ran out goes.
Arrays reached through a pointer or an index are no such places."""
import os
import re
import shutil
import struct
import subprocess
import sys

# Libraries of a level: their objects with loops that count.
OBJECTS = {
    "x86/libkern_avx2": ("attend_avx2", "float_avx2", "panel_float_avx2", "panel_iq4_avx2", "panel_iq4_many_avx2",
                         "panel_q23k_avx2", "panel_q8_avx2", "panel_q8k_avx2", "q8_avx2", "vec_avx2"),
    "x86/libkern_avxvnni": ("panel_q8_avxvnni", "panel_q8k_avxvnni"),
    "x86/libkern_avx512": ("attend_avx512", "panel_float_avx512", "panel_q8_avx512", "panel_q8k_avx512", "vec_avx512"),
    "arm/libkern_neon": ("attend_neon", "float_neon", "panel_neon", "panel_float_neon", "vec_neon"),
    "arm/libkern_dotprod": ("panel_dotprod",),
    "arm/libkern_i8mm": ("panel_i8mm",),
}
# Functions that may have so many such operands in a loop.  A number may fall, never rise.
ALLOWED = {
    # 12 registers of sums leave 4 for the rest: floats of a block's end, once for 32 elements of 6 columns ...
    "libkern_avxvnni": {"panel_q8_0_many": 16, "panel_q4_0_many": 12, "panel_q4_1_many": 8, "panel_q5_0_many": 18,
                        "panel_q5_1_many": 12, "panel_mxfp4_many": 12, "panel_iq4_nl_many": 12,
                        # ... and sums of the block, beside those of a sub-block ...
                        "panel_q2_k_many": 9, "panel_q3_k_many": 12, "panel_q4_k_many": 13, "panel_q5_k_many": 13,
                        "panel_q6_k_many": 12, "panel_iq4_xs_many": 12,
                        # ... and, with one column, constants that pick and test bits, and bytes of four sub-blocks
                        "panel_mxfp4": 2, "panel_q5_0": 14, "panel_q5_1": 14, "panel_q2_k": 3, "panel_q3_k": 26,
                        "panel_q5_k": 18, "panel_q6_k": 27},
    # 31 of 32 registers are in use; what the compiler keeps there is one more
    "libkern_neon": {"panel_q3_k": 2, "panel_q6_k": 2, "attend_q8_0": 2, "attend_f16": 2},
}


class Machine:
    def __init__(self, objdump, multiply, stack, frame, frame_set, jump, leaves):
        self.objdump, self.frame_set = objdump, frame_set
        self.multiply, self.stack, self.frame = re.compile(multiply), re.compile(stack), re.compile(frame)
        self.jump, self.leaves = re.compile(jump), re.compile(leaves)


# By the number ELF gives them.
MACHINES = {
    62: Machine("x86_64-linux-gnu-objdump", r"vpmadd|vpdp|vfn?m(add|sub)",
                r"%[xyz]mm.*[ ,][-0-9a-fx]*\(%rsp\)|^[-0-9a-fx]*\(%rsp\).*%[xyz]mm",
                r"%[xyz]mm.*[ ,][-0-9a-fx]*\(%rbp\)|^[-0-9a-fx]*\(%rbp\).*%[xyz]mm", "%rsp,%rbp",
                r"j[a-z]+$", r"jmp|ret"),
    183: Machine("aarch64-linux-gnu-objdump", r"u?sdot|[su]mmla|smlal|smull|fmla",
                 r"^\{?[qdv]\d.*\[sp[],]", r"^\{?[qdv]\d.*\[x29[],]", "x29, sp", r"b$|b\.[a-z]+$|cbn?z$|tbn?z$",
                 r"b$|br$|ret"),
}
# Two in the loop, one before and one after it, which costs nothing, and an array.
LOOP_OF_A_SPILL = """
0000000000000000 <spills>:
   0:\tvmovdqa (%rdi),%ymm1
   2:\tvmovdqa %ymm1,0x60(%rsp)
   4:\tvmovdqa %ymm1,0x20(%rsp)
   8:\tvpmaddubsw (%rsi),%ymm1,%ymm2
   c:\tvpaddw 0x40(%rsp),%ymm2,%ymm3
  10:\tvmovdqa %ymm3,(%rsp,%rax,1)
  14:\tjne    4 <spills+0x4>
  16:\tvmovdqa 0x60(%rsp),%ymm1
"""


def functions(listing):
    """(name, [(address, mnemonic, operands)]) of each."""
    name, code = None, []
    for line in listing.splitlines():
        m = re.match(r"[0-9a-f]+ <(.*)>:$", line)
        if m:
            if code:
                yield name, code
            name, code = m[1], []
        m = re.match(r"\s*([0-9a-f]+):\s+(?:\{vex\} )?(\S+)\s*(.*)$", line)
        if m:
            code.append((int(m[1], 16), m[2], m[3]))
    if code:
        yield name, code


def target(machine, instruction):
    m = machine.jump.match(instruction[1]) and re.search(r"(?:^|\s)([0-9a-f]+) <", instruction[2])
    return int(m[1], 16) if m else None


def reach(start, edges):
    seen, todo = set(), [start]
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            todo += edges.get(at, ())
    return seen


def loop_of(machine, code, head, tail):
    """What lies on a way from head to tail between them: nothing when a jump back only shares an ending."""
    span = [i for i in code if head <= i[0] <= tail]
    ahead, back = {}, {}
    for i, after in zip(span, span[1:] + [None]):
        ways = [target(machine, i)] + ([after[0]] if after and not machine.leaves.match(i[1]) else [])
        for to in ways:
            if to is not None and head < to <= tail and i[0] != tail:
                ahead.setdefault(i[0], []).append(to)
                back.setdefault(to, []).append(i[0])
    both = reach(head, ahead) & reach(tail, back)
    return [i for i in span if i[0] in both]


def loops(machine, code):
    """The innermost that multiply, as lists of instructions."""
    found = []
    for instruction in code:
        head = target(machine, instruction)
        if head is not None and code[0][0] <= head <= instruction[0]:
            body = loop_of(machine, code, head, instruction[0])
            if any(machine.multiply.match(i[1]) for i in body):
                found.append(body)
    return [a for a in found if not any(set(b) < set(a) for b in found)]


def stack_operands(machine, code, loop):
    framed = any(machine.frame_set in operands for _, _, operands in code)
    return [f"{i[1]} {i[2]}" for i in loop if machine.stack.search(i[2]) or framed and machine.frame.search(i[2])]


def listing_of(path):
    with open(path, "rb") as f:
        machine = MACHINES[struct.unpack("<H", f.read(20)[18:])[0]]
    tool = shutil.which(machine.objdump) or shutil.which("objdump")
    return machine, subprocess.run([tool, "-d", "--no-show-raw-insn", path], check=True, capture_output=True,
                                   text=True).stdout


def wrong_in(allowed, machine, listing):
    """What is wrong with an object, as lines; and how many loops it has."""
    lines, n = [], 0
    for name, code in functions(listing):
        for loop in loops(machine, code):
            n += 1
            found = stack_operands(machine, code, loop)
            if len(found) > allowed.get(name.split(".")[0], 0):
                lines += [f"{name}+{loop[0][0] - code[0][0]:#x}, {len(loop)} instructions: {len(found)} of them"]
                lines += found[:4]
    return lines, n


def setting(name):
    with open(os.path.join(build, "Makefile")) as f:
        return next((line.split("=", 1)[1].strip() for line in f if line.startswith(name + " =")), "")


def why_not():
    if "-fsanitize" in setting("BM_CFLAGS") or os.environ.get("BM_SANITIZED") == "1":
        return "sanitizers use the stack"
    if not re.search(r"-O[23]\b", setting("CFLAGS")):
        return "built without -O2"
    if "clang" in setting("CC"):
        return "what is allowed is said of gcc's code"
    return None if shutil.which("objdump") else "no objdump"


def finds_spills():
    lines, n = wrong_in({}, MACHINES[62], LOOP_OF_A_SPILL)
    return [] if n == 1 and len(lines) == 3 else [f"{n} loops"] + lines


def tests():
    """(name, what is wrong as lines, or None when this build has it not)."""
    yield "a spill is found", finds_spills()
    for library, objects in OBJECTS.items():
        folder, level = library.split("/")
        if not os.path.exists(os.path.join(build, "kernels", level + ".a")):
            yield level, None
            continue
        for name in objects:
            path = os.path.join(build, "kernels", folder, f"{level}_a-{name}.o")
            lines, n = wrong_in(ALLOWED.get(level, {}), *listing_of(path))
            yield f"{name}, {n} loops", lines if n else ["no loop that multiplies"]


build = os.environ["top_builddir"]
reason = why_not()
if reason:
    print(f"1..0 # SKIP {reason}")
    sys.exit(0)
count = bad = 0
for count, (name, lines) in enumerate(tests(), 1):
    print(f"{'not ok' if lines else 'ok'} {count} - {name}{' # SKIP not in this build' if lines is None else ''}")
    for line in (lines or [])[:40]:
        print(f"#   {line}")
    bad += bool(lines)
print(f"1..{count}")
sys.exit(1 if bad else 0)
