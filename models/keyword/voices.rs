//! Who says what: the words, the voices, and which voices are held out.

use super::KEYWORDS;
use crate::random::Random;

/// Words that are `unknown`, in training.
pub const OTHER_WORDS: &str = "\
    about after again and apple bed bird book bottle button cat chair cup dog door done eight five four garden good \
    gold hand happy hello house lamp learn lift light love low marvin morning music nine noise note office one open \
    orange paper river seven six snow step stock sun table three time today top town tree two under water window wow \
    yellow zero";

/// Words that are `unknown` and nobody says in training.
pub const HELD_OUT_WORDS: &str = "\
    bread coffee dark every follow green hundred island jump kitchen lemon money never often people quick road \
    sheila slow start ten visual wonderful yard";

/// Variants of espeak-ng's voice that are trained with. Relatives, as `steph` and `steph2`, stand on one side; `f` and
/// `m` with a number are voices of their own.
const VARIANTS: &str = "\
    adam Alex Alicia Andrea anika anikaRobot announcer antonio benjamin boris caleb croak Demonic Denis Diogo ed f1 \
    f3 f4 f5 fast Gene Gene2 grandma gustave Henrique Hugo iven iven2 iven3 iven4 Jacky john kaukovalta klatt klatt2 \
    klatt3 klatt4 klatt5 klatt6 Lee m1 m2 m4 m5 m6 m8 Marco marcelo Mario max Michael miguel norbert pablo paul \
    pedro quincy RicishayMax RicishayMax2 RicishayMax3 rob robosoft robosoft2 robosoft3 robosoft4 robosoft5 \
    robosoft6 robosoft8 steph steph2 steph3 travis Tweaky UniRobot whisper";

/// Variants that are held out, chosen before any training: every kind, no relative of which is trained with.
const HELD_OUT_VARIANTS: &str = "\
    Andy AnxiousAndy Annie aunty belinda david edward edward2 f2 grandpa linda m3 m7 michel Mike Nguyen robert \
    sandro shelby Storm victor zac";

/// The accents of English that espeak-ng has. Both sides speak all of them.
const ACCENTS: [&str; 8] =
    ["en-gb", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-gb-x-rp", "en-us", "en-us-nyc", "en-029"];

/// Voices of flite, which were made from recordings of people; with 8 kHz `kal` the same person as `kal16`.
const FLITE: [&str; 4] = ["awb", "kal", "kal16", "slt"];

/// The voice of flite that is held out: another person.
const HELD_OUT_FLITE: &str = "rms";

/// A program that speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Formants, by rules.
    Espeak,
    /// Recorded speech, by statistics.
    Flite,
}

/// A word as somebody says it.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// The program that says it.
    pub engine: Engine,
    /// Its voice, as the program names it.
    pub voice: String,
    /// Words a minute for espeak-ng, for flite how many times as long as usual in percent.
    pub speed: u32,
    /// 0 to 99 for espeak-ng, for flite the mean in Hz.
    pub pitch: u32,
    /// How many times faster it is played in percent, which shifts formants too.
    pub play: u32,
    /// The word, and how its end is spoken: `.`, `?` or `!`.
    pub text: String,
    /// What it is, as in [`LABELS`](super::LABELS).
    pub class: usize,
}

/// Says `words` of `class`, `count` times in all, each time in another way.
struct Synthesizer<'a> {
    engine: Engine,
    voice: &'a str,
    random: &'a mut Random,
    utterances: &'a mut Vec<Utterance>,
}

impl Synthesizer<'_> {
    fn add(&mut self, words: &[&str], class: usize, count: usize) {
        for _ in 0..count {
            let random = &mut *self.random;
            let pick = |random: &mut Random, of: &[&str]| of[random.below(of.len())].to_string();
            let (voice, speed, pitch) = match self.engine {
                Engine::Espeak => {
                    let accent = pick(random, &ACCENTS);
                    (format!("{accent}+{}", self.voice), random.between(110.0, 220.0), random.between(15.0, 85.0))
                }
                Engine::Flite => (self.voice.into(), random.between(75.0, 150.0), random.between(80.0, 220.0)),
            };
            let text = pick(random, words) + &pick(random, &["", ".", ".", "?", "!"]);
            let play = random.between(86.0, 116.0) as u32;
            let (speed, pitch) = (speed as u32, pitch as u32);
            self.utterances.push(Utterance { engine: self.engine, voice, speed, pitch, play, text, class });
        }
    }

    /// Every keyword `each` times and other words `others` times.
    fn add_all(&mut self, each: usize, others: &[&str], count: usize) {
        for (class, word) in KEYWORDS.iter().enumerate() {
            self.add(&[word], class, each);
        }
        self.add(others, KEYWORDS.len(), count);
    }
}

/// Everything that is said to train with.
pub fn training() -> Vec<Utterance> {
    spoken(1, &list(VARIANTS), 6, 30, &list(OTHER_WORDS), &FLITE, 60, 200)
}

/// Everything that is said to measure with. Half of the `unknown` words are among those of training.
pub fn held_out() -> Vec<Utterance> {
    let mut words = list(HELD_OUT_WORDS);
    let new = words.len();
    words.extend(list(OTHER_WORDS).into_iter().take(new));
    spoken(2, &list(HELD_OUT_VARIANTS), 8, 16, &words, &[HELD_OUT_FLITE], 40, 80)
}

/// Words with spaces between.
fn list(words: &'static str) -> Vec<&'static str> {
    words.split_whitespace().collect()
}

#[expect(clippy::too_many_arguments, reason = "two programs, each with its voices and counts")]
fn spoken(
    seed: u64,
    variants: &[&str],
    each: usize,
    others: usize,
    words: &[&str],
    flite: &[&str],
    flite_each: usize,
    flite_others: usize,
) -> Vec<Utterance> {
    let (mut random, mut utterances) = (Random::new(seed), Vec::new());
    for voice in variants {
        let mut speaker =
            Synthesizer { engine: Engine::Espeak, voice, random: &mut random, utterances: &mut utterances };
        speaker.add_all(each, words, others);
    }
    for voice in flite {
        let mut speaker =
            Synthesizer { engine: Engine::Flite, voice, random: &mut random, utterances: &mut utterances };
        speaker.add_all(flite_each, words, flite_others);
    }
    utterances
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn variants(utterances: &[Utterance]) -> BTreeSet<&str> {
        utterances.iter().map(|one| one.voice.split('+').next_back().unwrap()).collect()
    }

    #[test]
    fn no_voice_is_in_both_sets() {
        let (training, held_out) = (training(), held_out());
        let (training, held_out) = (variants(&training), variants(&held_out));
        assert_eq!((training.len(), held_out.len()), (list(VARIANTS).len() + 4, list(HELD_OUT_VARIANTS).len() + 1));
        assert!(training.is_disjoint(&held_out));
        let stem = |voice: &str| voice.trim_end_matches(|c: char| c.is_ascii_digit()).to_lowercase();
        let numbered = |voice: &&&str| !["f", "m"].contains(&stem(voice).as_str());
        let stems = |of: &BTreeSet<&str>| -> BTreeSet<String> { of.iter().filter(numbered).map(|v| stem(v)).collect() };
        assert!(stems(&training).is_disjoint(&stems(&held_out)));
    }

    #[test]
    fn unknown_words_are_not_keywords_and_some_are_held_out() {
        let (known, new) = (list(OTHER_WORDS), list(HELD_OUT_WORDS));
        for word in known.iter().chain(&new) {
            assert!(!KEYWORDS.contains(word), "{word}");
        }
        assert!(new.iter().all(|word| !known.contains(word)));
        let is_new = |one: &&Utterance| new.contains(&one.text.trim_end_matches(['.', '?', '!']));
        assert!(held_out().iter().filter(is_new).count() > 100);
    }

    #[test]
    fn every_voice_has_every_keyword() {
        for (utterances, min) in [(training(), 6), (held_out(), 8)] {
            for voice in variants(&utterances) {
                for (class, word) in KEYWORDS.iter().enumerate() {
                    let count =
                        utterances.iter().filter(|one| one.voice.ends_with(voice) && one.class == class).count();
                    assert!(count >= min, "{voice} says {word} {count} times");
                }
            }
        }
    }
}
