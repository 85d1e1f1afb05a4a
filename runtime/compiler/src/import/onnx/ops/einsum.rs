//! Einsum of one or two operands: sums, transpositions and products of matrices in a notation of letters.

use super::Outputs;
use crate::import::onnx::network::{Network, Node, Value};
use crate::ir::graph::dimension_of;
use crate::ir::{Activation, Op};

/// Returns the letters of the operands and of the result; `None` for a form that is not read.
fn letters(equation: &str) -> Option<(Vec<Vec<char>>, Vec<char>)> {
    let equation: String = equation.chars().filter(|letter| !letter.is_whitespace()).collect();
    let (inputs, output) = match equation.split_once("->") {
        Some((inputs, output)) => (inputs.to_string(), Some(output.to_string())),
        None => (equation.clone(), None),
    };
    let inputs: Vec<Vec<char>> = inputs.split(',').map(|term| term.chars().collect()).collect();
    let output: Vec<char> = output.map_or_else(
        || {
            // Letters that occur once, in the order of the alphabet.
            let mut once: Vec<char> = inputs.iter().flatten().copied().collect();
            once.sort_unstable();
            let count = |letter: &char| inputs.iter().flatten().filter(|other| *other == letter).count();
            once.retain(|letter| count(letter) == 1);
            once
        },
        |output| output.chars().collect(),
    );
    let distinct = |term: &Vec<char>| {
        term.iter()
            .all(|letter| letter.is_ascii_alphabetic() && term.iter().filter(|other| *other == letter).count() == 1)
    };
    let known = output.iter().all(|letter| inputs.iter().any(|term| term.contains(letter)));
    (known && inputs.iter().chain([&output]).all(distinct)).then_some((inputs, output))
}

/// Returns a value whose dimensions are `from` as one whose dimensions are `to`, which has the same letters.
fn transposed(n: &mut Network<'_>, value: &Value, from: &[char], to: &[char]) -> Outputs {
    let moves: Option<Vec<usize>> = to.iter().map(|letter| from.iter().position(|other| other == letter)).collect();
    let moves = moves.ok_or_else(|| n.invalid("its letters do not fit"))?;
    Ok(vec![n.moved(value, &moves)?])
}

pub(super) fn einsum(n: &mut Network<'_>, node: &Node) -> Outputs {
    let equation = node.text("equation").unwrap_or_default().to_string();
    let refuse = |n: &Network<'_>| {
        n.refuse(format!(
            "one or two operands whose letters occur once in each, without dots; not `{}`",
            &equation[..equation.floor_char_boundary(64)]
        ))
    };
    let Some((mut terms, output)) = letters(&equation) else { return Err(refuse(n)) };
    if terms.len() != node.inputs.len() || terms.len() > 2 {
        return Err(refuse(n));
    }
    let mut values = Vec::new();
    for (k, term) in terms.iter_mut().enumerate() {
        let mut value = n.input(node, k)?.clone();
        let shape = n.shape(&value);
        if shape.len() != term.len() {
            return Err(n.invalid(format!("its operand {k} is {shape:?} for the letters {term:?}")));
        }
        // Letters of this operand alone that are not in the result are summed first.
        let others: Vec<char> = node_letters(&equation, k);
        let alone: Vec<usize> =
            (0..term.len()).filter(|&i| !output.contains(&term[i]) && !others.contains(&term[i])).collect();
        if !alone.is_empty() {
            value = n.reduce(Op::Sum, &value, &alone, false)?;
            let mut i = 0;
            term.retain(|_| {
                i += 1;
                !alone.contains(&(i - 1))
            });
        }
        values.push(value);
    }
    if let ([value], [term]) = (&values[..], &terms[..]) {
        return transposed(n, value, term, &output);
    }
    let (a, b) = (terms[0].clone(), terms[1].clone());
    let shared: Vec<char> = a.iter().copied().filter(|letter| b.contains(letter)).collect();
    let batch: Vec<char> = shared.iter().copied().filter(|letter| output.contains(letter)).collect();
    let inner: Vec<char> = shared.iter().copied().filter(|letter| !output.contains(letter)).collect();
    let rows: Vec<char> = a.iter().copied().filter(|letter| !shared.contains(letter)).collect();
    let columns: Vec<char> = b.iter().copied().filter(|letter| !shared.contains(letter)).collect();
    let mut sizes = Vec::new();
    for (value, term) in values.iter().zip(&terms) {
        sizes.extend(term.iter().copied().zip(n.shape(value)));
    }
    let dims = |letters: &[char]| -> Vec<u32> {
        let size = |letter: &char| sizes.iter().find(|(other, _)| other == letter).map_or(1, |&(_, size)| size);
        letters.iter().map(size).collect()
    };
    if sizes.iter().any(|(letter, size)| dims(&[*letter]) != [*size]) {
        return Err(n.invalid("a letter has two lengths"));
    }
    let count = |letters: &[char]| dimension_of(&dims(letters));
    let order_a = [&batch[..], &rows, &inner].concat();
    let order_b = [&batch[..], &inner, &columns].concat();
    let first = transposed(n, &values[0], &a, &order_a)?.swap_remove(0);
    let second = transposed(n, &values[1], &b, &order_b)?.swap_remove(0);
    let order = [&batch[..], &rows, &columns].concat();
    let product = if inner.is_empty() && (rows.is_empty() || columns.is_empty()) {
        let (first, second) = (
            n.with_shape(&first, [dims(&batch), dims(&rows), vec![1; columns.len()]].concat())?,
            n.with_shape(&second, [dims(&batch), vec![1; rows.len()], dims(&columns)].concat())?,
        );
        n.pairwise(Op::Mul(Activation::None), [&first, &second], [node.name(0), node.name(1)])?
    } else {
        let matrices = [&dims(&batch)[..], &[count(&rows), count(&inner)]].concat();
        let first = n.with_shape(&first, matrices)?;
        let second = n.with_shape(&second, [&dims(&batch)[..], &[count(&inner), count(&columns)]].concat())?;
        n.product([&first, &second], [node.name(0), node.name(1)], [false, false])?
    };
    let product = n.with_shape(&product, dims(&order))?;
    transposed(n, &product, &order, &output)
}

/// Returns the letters of the operands other than `k`.
fn node_letters(equation: &str, k: usize) -> Vec<char> {
    let terms = letters(equation).map(|(terms, _)| terms).unwrap_or_default();
    terms.into_iter().enumerate().filter(|(i, _)| *i != k).flat_map(|(_, term)| term).collect()
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn the_notation_is_read_with_and_without_a_result() {
        let read = |text| letters(text).map(|(terms, output)| (terms.len(), output.into_iter().collect::<String>()));
        assert_eq!(read("bij, bjk -> bik"), Some((2, "bik".into())));
        assert_eq!(read("ki,kj"), Some((2, "ij".into())));
        assert_eq!(read("ij->"), Some((1, String::new())));
        for wrong in ["...ii->...i", "ii->i", "ij->ik", "i1", "ij->jj"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
