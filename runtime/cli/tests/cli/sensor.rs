//! Inputs from pictures, sound and tables of numbers, and the front end that a file declares.

use crate::common::Folder;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use std::path::Path;
use tealight_audio::{Features, LogMel, SAMPLE_RATE};

/// A file of the folder of models.
fn model(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models").join(name).display().to_string()
}

/// The answers of a command, for each inference and each output.
fn results(folder: &Folder, args: &[&str]) -> serde_json::Value {
    folder.json(&[&["run"], args].concat())["results"].clone()
}

/// A grey picture of the size of `digits`'s input, in which every brightness occurs.
fn grey() -> GrayImage {
    GrayImage::from_fn(28, 28, |x, y| image::Luma([(x * 37 + y * 101 + x * y) as u8]))
}

#[test]
fn a_picture_of_the_inputs_size_is_its_pixels_in_every_format() {
    let folder = Folder::new();
    let (digits, picture) = (model("digits/digits.safetensors"), grey());
    let codes: Vec<u8> = picture.as_raw().iter().map(|pixel| pixel ^ 0x80).collect();
    folder.write("pixels.bin", &codes);
    let expected = results(&folder, &[&digits, "-i", "pixels.bin"]);
    for name in ["x.png", "x.bmp", "x.pgm", "X.PNG"] {
        picture.save(folder.path(name)).unwrap();
        assert_eq!(results(&folder, &[&digits, "-i", name]), expected, "{name}");
    }
    DynamicImage::from(picture).into_rgb8().save(folder.path("rgb.png")).unwrap();
    assert_eq!(results(&folder, &[&digits, "-i", "rgb.png", "--front-end", "picture color=grey"]), expected);
}

#[test]
fn a_declared_front_end_is_kept_in_the_file_and_used() {
    let (folder, case) = Folder::golden("conv2d.000");
    let declaration = "picture color=bgr fit=crop mean=10,20,30 std=2";
    folder.succeeds(&["compile", "net.tflite", "-o", "net.safetensors", "--front-end", declaration]);
    let inspected = folder.json(&["inspect", "net.safetensors"]);
    let kept = "tealight-sensor picture 1 color=bgr fit=crop mean=10,20,30 std=2";
    assert_eq!(inspected["front_end"], kept);
    assert!(folder.succeeds(&["inspect", "net.safetensors"]).contains(kept));

    // The middle of a picture of 10 x 6 pixels, with the channels of each pixel turned round.
    let picture = RgbImage::from_fn(10, 6, |x, y| image::Rgb([x as u8 * 9, y as u8 * 11, (x * y) as u8]));
    picture.save(folder.path("x.png")).unwrap();
    let input = &inspected["inputs"][0];
    let scale = input["scale"].as_f64().unwrap() as f32;
    let zero_point = input["zero_point"].as_i64().unwrap() as i32;
    let mut codes = Vec::new();
    for (y, x) in (0..6).flat_map(|y| (2..8).map(move |x| (y, x))) {
        let pixel = picture.get_pixel(x, y).0;
        for (channel, mean) in [(2, 10.0), (1, 20.0), (0, 30.0)] {
            let value = (f32::from(pixel[channel]) - mean) / 2.0;
            codes.push(((value / scale).round() as i32 + zero_point).clamp(-128, 127) as u8);
        }
    }
    assert_eq!(codes.len(), case.steps[0].inputs[0].len());
    folder.write("pixels.bin", &codes);
    let expected = results(&folder, &["net.safetensors", "-i", "pixels.bin"]);
    assert_eq!(results(&folder, &["net.safetensors", "-i", "x.png"]), expected);
    // Another one, given to the command, takes its place.
    assert_ne!(results(&folder, &["net.safetensors", "-i", "x.png", "--front-end", "picture std=1"]), expected);
}

#[test]
fn a_front_end_that_does_not_fit_the_network_is_refused() {
    let (folder, _) = Folder::golden("conv2d.000");
    let compile = |how| ["compile", "net.tflite", "-o", "net.safetensors", "--front-end", how];
    folder
        .fails(&compile("picture color=grey"), &["does not fit the network", "[1, 6, 6, 3]", "[1, height, width, 1]"]);
    folder.fails(&compile("log-mel"), &["does not fit the network", "frames"]);
    folder.fails(&compile("series mean=1,2 std=1"), &["does not fit the network", "channels"]);
    let mut wrong = std::process::Command::new(crate::common::TEALIGHT);
    folder.program_fails(wrong.args(compile("picture color=red")), 2, &["`color=red`", "rgb, bgr or grey"]);
}

#[test]
fn the_files_of_a_folder_are_run_in_the_order_of_their_names_each_from_the_initial_state() {
    let (folder, case) = Folder::compiled("variables.000");
    std::fs::create_dir(folder.path("inputs")).unwrap();
    let inputs = |steps: &[usize]| steps.iter().flat_map(|&k| case.steps[k].inputs[0].clone()).collect::<Vec<_>>();
    folder.write("inputs/b.bin", &inputs(&[0, 1]));
    folder.write("inputs/a.bin", &inputs(&[0, 1, 2]));
    folder.write("inputs/notes.txt", b"no input");
    folder.succeeds(&["run", "net.safetensors", "-i", "inputs", "-o", "out.bin"]);
    let outputs: Vec<u8> = [0, 1, 2, 0, 1].iter().flat_map(|&k| case.steps[k].outputs[0].clone()).collect();
    assert_eq!(folder.read("out.bin"), outputs);
    let report = folder.json(&["run", "net.safetensors", "-i", "inputs"]);
    assert_eq!(report["inferences"], 5);
    assert_eq!(report["inputs"][1]["inferences"], 2);
    assert!(report["inputs"][0]["files"][0].as_str().unwrap().ends_with("a.bin"));
    let shown = folder.succeeds(&["run", "net.safetensors", "-i", "inputs"]);
    assert!(shown.contains("b.bin, inference 1"), "{shown}");
    std::fs::create_dir(folder.path("empty")).unwrap();
    folder.fails(&["run", "net.safetensors", "-i", "empty"], &["the data is empty", ".png"]);
}

#[test]
fn sound_becomes_the_features_that_firmware_computes() {
    let folder = Folder::new();
    let (keyword, sound) = (model("keyword/keyword.safetensors"), model("keyword/sample.wav"));
    let samples: Vec<i16> = hound::WavReader::open(&sound).unwrap().into_samples().map(Result::unwrap).collect();
    let (mut log_mel, mut features) = (LogMel::<40>::new(), Features::<49, 40>::new());
    log_mel.push(&samples[..SAMPLE_RATE], |frame| features.push(frame));
    let bytes: Vec<u8> = features.as_slice().iter().map(|code| code.cast_unsigned()).collect();
    folder.write("features.bin", &bytes);
    let expected = results(&folder, &[&keyword, "-i", "features.bin"]);
    assert_eq!(results(&folder, &[&keyword, "-i", &sound])[0], expected[0]);

    // The same sound in two channels of floating-point samples.
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: SAMPLE_RATE as u32,
        bits_per_sample: 32,
        sample_format: hound::SampleFormat::Float,
    };
    let mut writer = hound::WavWriter::create(folder.path("stereo.wav"), spec).unwrap();
    for &sample in &samples {
        writer.write_sample(f32::from(sample) / 16_384.0).unwrap();
        writer.write_sample(0.0_f32).unwrap();
    }
    writer.finalize().unwrap();
    assert_eq!(results(&folder, &[&keyword, "-i", "stereo.wav"])[0], expected[0]);
    let writer =
        hound::WavWriter::create(folder.path("8k.wav"), hound::WavSpec { sample_rate: 8_000, ..spec }).unwrap();
    writer.finalize().unwrap();
    folder.fails(&["run", &keyword, "-i", "8k.wav"], &["8000 Hz", "sox"]);
    folder.fails(&["run", &model("digits/digits.safetensors"), "-i", &sound], &["no front end for sound", "log-mel"]);
}

#[test]
fn numbers_are_read_by_column_normalized_and_taken_every_few_rows() {
    let folder = Folder::new();
    let gesture = model("gesture/gesture.safetensors");
    let reading = |row: u32, channel: u32| f64::from((row * 31 + channel * 17) % 64) / 16.0 - 2.0;
    let mut table = String::from("# 50 Hz\ntime, ax, ay, az, wx, wy, wz\n");
    for row in 0..256 {
        let numbers: Vec<String> = (0..6).map(|channel| reading(row, channel).to_string()).collect();
        table += &format!("{}, {}\n", f64::from(row) / 50.0, numbers.join(", "));
    }
    folder.write("imu.csv", table.as_bytes());
    // Real values are an eighth of the readings, in steps of 1/32.
    let codes = |first: u32| {
        (first..first + 128)
            .flat_map(|row| (0..6).map(move |channel| reading(row, channel)))
            .map(|value| ((value / 0.125 * 32.0).round() as i32).clamp(-128, 127) as u8)
    };
    folder.write("codes.bin", &(0..3).flat_map(|k| codes(64 * k)).collect::<Vec<_>>());
    let expected = results(&folder, &[&gesture, "-i", "codes.bin"]);
    let columns = ["--columns", "ax,ay,az,wx,wy,7"];
    let run = |how| [&[&*gesture, "-i", "imu.csv", "--front-end", how][..], &columns].concat();
    assert_eq!(results(&folder, &run("series std=0.125 hop=64")), expected);
    assert_eq!(results(&folder, &run("series std=0.125"))[1], expected[2]);

    let fails = |args: &[&str], parts: &[&str]| folder.fails(&[&["run", &gesture], args].concat(), parts);
    fails(&["-i", "imu.csv"], &["has 7 columns", "the input has 6", "time, ax"]);
    fails(&["-i", "imu.csv", "--columns", "ax,mx"], &["no column `mx`", "ax, ay"]);
    folder.write("short.csv", b"1,2,3,4,5,6\n");
    fails(&["-i", "short.csv"], &["1 row of numbers", "128"]);
    folder.write("broken.csv", b"1,2,3,4,5,6\n1,2,3,x,5,6\n");
    fails(&["-i", "broken.csv"], &["line 2, column 4", "`x`"]);
    folder.write("uneven.csv", b"1,2,3,4,5,6\n1,2\n");
    fails(&["-i", "uneven.csv"], &["uneven.csv", "same length"]);
}

#[test]
fn what_is_no_picture_or_needs_a_front_end_is_refused_with_what_to_do() {
    let folder = Folder::new();
    let digits = model("digits/digits.safetensors");
    folder.write("cut.png", b"\x89PNG\r\n\x1a\n");
    folder.fails(&["run", &digits, "-i", "cut.png"], &["cut.png", "no picture", "PNG, JPEG"]);
    folder.write("text.jpg", b"hello");
    folder.fails(&["run", &digits, "-i", "text.jpg"], &["text.jpg", "no picture"]);
    grey().save_with_format(folder.path("x.png"), ImageFormat::Png).unwrap();
    folder.fails(&["run", &digits, "-i", "x.png", "--front-end", "picture"], &["3 channels", "color=grey"]);
    let gesture = model("gesture/gesture.safetensors");
    folder.fails(&["run", &gesture, "-i", "x.png"], &["it is a picture", "[1, height, width"]);
    // Float inputs have no black and white of their own.
    let (floats, _) = Folder::golden("conv2d_f32.000");
    grey().save(floats.path("x.png")).unwrap();
    floats.fails(&["run", "net.tflite", "-i", "x.png"], &["mean= and std=", "mean=127.5 std=127.5"]);
    floats.succeeds(&["run", "net.tflite", "-i", "x.png", "--front-end", "picture std=255"]);
}
