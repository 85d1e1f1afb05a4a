//! The command line's reader of `.npy` headers, beside a simple definition of them: any bytes are read or refused; a
//! header that follows the format's description is read as it says; what is written is read again.

#![no_main]
#![allow(clippy::unwrap_used)] // a failed unwrap is a finding

#[allow(dead_code)] // the target uses some of it
#[path = "../../../runtime/cli/src/npy.rs"]
mod npy;

use npy::Header;
use tealight::DType;
use tealight_fuzz::random::Choices;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((&how, rest)) = data.split_first() else { return };
    match how % 7 {
        // The first byte of a file is one of these.
        0 => any(data),
        1 | 2 => described(&mut Choices::new(rest)),
        3 | 4 => reordered(&mut Choices::new(rest)),
        _ => written(&mut Choices::new(rest)),
    }
});

fn any(file: &[u8]) {
    match Header::parse(file) {
        Ok(header) => {
            assert!(file.starts_with(b"\x93NUMPY") && header.data_at <= file.len());
            let _ = (header.dtype(), header.to_string());
        }
        Err(error) => drop(error.to_string()),
    }
}

/// A header of any layout that Python would take: quotes, blanks, order, a comma at the end or not.
fn described(choose: &mut Choices<'_>) {
    let descr = choose.pick(&["|i1", "|u1", "<i2", "<i4", "<f4", ">f4", "<f8", "|b1", "<i8"]);
    let fortran = choose.one_in(2);
    let shape: Vec<u64> = (0..choose.below(7)).map(|_| u64::from(choose.word() >> choose.below(32))).collect();
    let mut blank = || if choose.one_in(4) { " " } else { "" };
    let commas = shape.iter().map(|dim| format!("{}{dim}{},", blank(), blank())).collect::<String>();
    let dims = if shape.len() > 1 { commas.trim_end_matches(',') } else { &commas };
    let quote = choose.pick(&['\'', '"']);
    let mut entries = vec![
        format!("{quote}descr{quote}: {quote}{descr}{quote}"),
        format!("{quote}fortran_order{quote}: {}", if fortran { "True" } else { "False" }),
        format!("{quote}shape{quote}: ({dims})"),
    ];
    entries.rotate_left(choose.below(3) as usize);
    let end = choose.pick(&[", }", "}", ",}"]);
    let text = format!("{{{}{end}", entries.join(", "));
    let text = text + &" ".repeat(choose.below(70) as usize) + "\n";
    let version = choose.between(1, 3) as u8;
    let len = text.len() as u32;
    let len = if version == 1 { (len as u16).to_le_bytes().to_vec() } else { len.to_le_bytes().to_vec() };
    let file = [b"\x93NUMPY", &[version, 0][..], &len, text.as_bytes()].concat();
    let header = Header::parse(&file).unwrap();
    assert_eq!(
        (&*header.descr, header.fortran_order, header.shape, header.data_at),
        (descr, fortran, shape, file.len())
    );
    for cut in [choose.below(file.len() as u32) as usize, file.len() - 1] {
        assert!(Header::parse(&file[..cut]).is_err());
    }
}

/// The elements of an array in Fortran order, as its definition numbers them: the first dimension is the innermost.
fn reordered(choose: &mut Choices<'_>) {
    let shape: Vec<u64> = (0..choose.below(5)).map(|_| choose.between(0, 4) as u64).collect();
    let size = choose.pick(&[1usize, 2, 4]);
    let count = shape.iter().product::<u64>() as usize;
    let elements = choose.bytes(count * size);
    let header = Header { descr: "|i1".into(), fortran_order: true, shape: shape.clone(), data_at: 0 };
    let Some(ordered) = header.in_c_order(&elements, size) else { return };
    for (at, element) in ordered.chunks(size).enumerate() {
        let (mut rest, mut from) = (at, 0);
        for k in (0..shape.len()).rev() {
            let stride: u64 = shape[..k].iter().product();
            from += rest % shape[k] as usize * stride as usize;
            rest /= shape[k] as usize;
        }
        assert_eq!(element, &elements[from * size..][..size], "{shape:?}, element {at}");
    }
    assert_eq!(ordered.len(), elements.len());
}

fn written(choose: &mut Choices<'_>) {
    let dtype = choose.pick(&[DType::I8, DType::U8, DType::I16, DType::I32, DType::F32]);
    let shape: Vec<u64> = (0..choose.below(7)).map(|_| u64::from(choose.word()) << choose.below(33)).collect();
    let bytes = npy::header(dtype, &shape);
    let header = Header::parse(&bytes).unwrap();
    assert!(!header.fortran_order && bytes.len().is_multiple_of(64));
    assert_eq!((header.dtype(), header.shape, header.data_at), (Some(dtype), shape, bytes.len()));
}
