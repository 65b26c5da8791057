use super::*;

const LIMIT: usize = 1000;

fn data(out: &mut Vec<u8>, sequences: impl IntoIterator<Item = u64>) {
    for sequence in sequences {
        let start = out.len();
        frame::begin_data(out, 0, sequence);
        out.extend_from_slice(b"four");
        frame::finish(out, start, 0);
    }
}

const EACH: usize = DATA_HEAD + 4;

fn run(range: Range<usize>, frames: u32, first: u64, last: u64) -> Run {
    Run {
        range,
        frames,
        first,
        last,
    }
}

#[test]
fn new_frames_are_one_run() {
    let mut intake = Intake::new(0, LIMIT);
    let mut bytes = Vec::new();
    data(&mut bytes, [1, 2, 5]);
    intake.read(&bytes).unwrap();
    assert_eq!(intake.runs, [run(0..3 * EACH, 3, 1, 5)]);
    assert_eq!(
        (intake.taken(), intake.duplicates, intake.bye),
        (5, 0, false)
    );
}

#[test]
fn duplicates_are_cut_out() {
    let mut intake = Intake::new(3, LIMIT);
    let mut bytes = Vec::new();
    data(&mut bytes, [2, 3, 4, 4, 5, 1, 6]);
    intake.read(&bytes).unwrap();
    assert_eq!(
        intake.runs,
        [
            run(2 * EACH..3 * EACH, 1, 4, 4),
            run(4 * EACH..5 * EACH, 1, 5, 5),
            run(6 * EACH..7 * EACH, 1, 6, 6)
        ]
    );
    assert_eq!(intake.duplicates, 4);
    intake.read(&bytes).unwrap();
    assert_eq!((intake.runs.len(), intake.duplicates), (0, 7));
}

#[test]
fn control_frames_are_cut_out_and_told() {
    let mut intake = Intake::new(0, LIMIT);
    let mut bytes = Vec::new();
    data(&mut bytes, [1]);
    frame::heartbeat(&mut bytes, 1);
    data(&mut bytes, [2]);
    frame::heartbeat(&mut bytes, 4);
    bytes.extend_from_slice(&[4, 0, 0, 0, 200, 0, 0, 0]);
    frame::Bye::encode(&mut bytes, frame::ByeCode::Done, "");
    data(&mut bytes, [5]);
    intake.read(&bytes).unwrap();
    assert_eq!(
        intake.runs,
        [
            run(0..EACH, 1, 1, 1),
            run(EACH + 16..2 * EACH + 16, 1, 2, 2)
        ]
    );
    assert_eq!(
        (intake.counted, intake.bye, intake.taken()),
        (Some(4), true, 2)
    );
}

#[test]
fn what_came_before_a_bad_frame_counts() {
    let mut zero = Vec::new();
    data(&mut zero, [0]);
    let mut identity = Vec::new();
    frame::begin_data(&mut identity, FLAG_IDENTITY, 2);
    frame::finish(&mut identity, 0, 0);
    let mut long = Vec::new();
    frame::begin_data(&mut long, 0, 2);
    long.resize(LIMIT + 1, 0);
    frame::finish(&mut long, 0, 0);
    let bad: [&[u8]; 6] = [
        &zero,
        &identity,
        &long,
        &[4, 0, 0, 0, 4, 0, 0, 0],
        &[4, 0, 0, 0, 5, 0, 0, 0],
        &[4, 0, 0, 0, 6, 0, 0, 0],
    ];
    for bad in bad {
        let mut intake = Intake::new(0, LIMIT);
        let mut bytes = Vec::new();
        data(&mut bytes, [1]);
        bytes.extend_from_slice(bad);
        assert!(intake.read(&bytes).is_err(), "{bad:?}");
        assert_eq!(intake.runs, [run(0..EACH, 1, 1, 1)]);
    }
}

#[test]
fn random_bytes_never_panic() {
    use sink_runtime::clock::{Chance, SplitMix};
    for seed in 0..2000 {
        let chance = SplitMix::new(seed);
        let mut bytes = Vec::new();
        data(&mut bytes, [1, 2, 3]);
        frame::heartbeat(&mut bytes, 3);
        for _ in 0..=chance.next() % 6 {
            let at = (chance.next() % bytes.len() as u64) as usize;
            bytes[at] = chance.next() as u8;
        }
        bytes.truncate(1 + (chance.next() % bytes.len() as u64) as usize);
        let mut intake = Intake::new(0, LIMIT);
        let _ = intake.read(&bytes);
        assert!(
            intake
                .runs
                .iter()
                .all(|run| run.range.end <= bytes.len() && run.first <= run.last)
        );
    }
}
