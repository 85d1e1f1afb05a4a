//! Breaks a field of a plan.

use super::Choices;
use crate::build::Parts;
use tealight_format::{Group, Place, Rows, Shape};

/// Changes one field of one value, or the order of two.
pub(super) fn break_value(choose: &mut Choices<'_>, parts: &mut Parts) {
    if parts.values.is_empty() {
        return;
    }
    let i = choose.below(parts.values.len() as u32) as usize;
    let odd = choose.odd();
    let nearer = choose.between(-4, 4) * 16;
    let v = &mut parts.values[i];
    match choose.below(17) {
        0 => v.offset = v.offset.wrapping_add_signed(nearer),
        1 => v.offset = odd as u32 & !15,
        2 => v.first = odd as u16,
        3 => v.last = v.last.wrapping_add(1),
        4 => v.last = odd as u16,
        5 => v.quantization.zero_point = odd,
        6 => v.quantization.scale = f32::from_bits(odd as u32),
        7 => v.alias = Some(odd as u16),
        8 => v.init = Some(odd as u16),
        9 => v.place = Place::State,
        10 => v.len = odd as u32,
        11 => parts.values.swap(i, 0),
        12..=15 => {
            // One row more or less, with memory for it or without.
            let mut rows = v.rows.unwrap_or(Rows { held: 1, first: 1, step: 1 });
            let change = choose.pick(&[-1, 1]);
            let which = choose.below(4);
            let number = match which {
                0 => &mut rows.first,
                1 => &mut rows.step,
                _ => &mut rows.held,
            };
            *number = number.wrapping_add_signed(change);
            if which == 3 {
                v.len = v.image_row().unwrap_or(0).wrapping_mul(rows.held);
            }
            v.rows = Some(rows);
        }
        _ => {
            let dims: Vec<u32> = v.shape.dims().iter().map(|&d| if d == 1 { odd as u32 } else { d }).collect();
            v.shape = Shape::new(&dims).unwrap();
            let elements = v.shape.elements().unwrap_or(1);
            v.len = v.dtype.bytes(elements).unwrap_or(elements.wrapping_mul(v.dtype.size()));
        }
    }
}

/// Changes one field of one operator.
pub(super) fn break_operator(choose: &mut Choices<'_>, parts: &mut Parts) {
    let at = choose.below(parts.ops.len() as u32) as usize;
    let odd = choose.odd();
    let op = &mut parts.ops[at];
    match choose.below(7) {
        0 => op.rows = odd as u32,
        1 => op.row_cost = odd as u32,
        2 => op.inputs[0] = Some(choose.byte().into()),
        3 => op.scratch = Some(choose.byte().into()),
        4 => op.prepare_cost = odd as u32,
        5 => op.group = Group { before: choose.byte(), after: choose.byte() },
        _ => op.output = choose.byte().into(),
    }
}
