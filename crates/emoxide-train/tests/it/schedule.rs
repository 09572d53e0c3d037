//! Learning-rate schedules against PyTorch.

use emoxide_train::schedule::ScheduleConfig;
use serde::Deserialize;

#[derive(Deserialize)]
struct Fixture {
    base_rate: f64,
    epochs: usize,
    steps_per_epoch: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    config: ScheduleConfig,
    per: String,
    rates: Vec<f64>,
}

#[test]
fn rates_agree_with_pytorch() {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/schedule/rates.json")).unwrap();
    let (epochs, steps) = (fixture.epochs, fixture.steps_per_epoch);
    let mut largest = 0.0_f64;
    for case in &fixture.cases {
        for step in 0..epochs * steps {
            let wanted = case.rates[if case.per == "epoch" { step / steps } else { step }];
            let found = case.config.rate(fixture.base_rate, step, steps, epochs * steps);
            assert!((found - wanted).abs() < 1e-12, "{:?} at step {step}: {found} for {wanted}", case.config);
            largest = largest.max((found - wanted).abs());
        }
    }
    println!("schedules: largest difference from PyTorch {largest:e} over {} cases", fixture.cases.len());
    assert_eq!(fixture.cases.len(), 9);
}

#[test]
fn warmup_rises_linearly_to_the_full_rate() {
    let constant: ScheduleConfig = toml::from_str("kind = 'constant'\nwarmup_epochs = 0.5").unwrap();
    let rates: Vec<_> = (0..6).map(|step| constant.rate(0.8, step, 8, 80)).collect();
    for (found, wanted) in rates.iter().zip([0.2, 0.4, 0.6, 0.8, 0.8, 0.8]) {
        assert!((found - wanted).abs() < 1e-12, "{rates:?}");
    }

    let cosine: ScheduleConfig = toml::from_str("kind = 'cosine'\nwarmup_epochs = 2\nfinal_rate = 0.01").unwrap();
    let rates: Vec<_> = (0..80).map(|step| cosine.rate(1.0, step, 8, 80)).collect();
    assert!(rates[..16].is_sorted() && (rates[15] - 1.0).abs() < 1e-12 && (rates[16] - 1.0).abs() < 1e-12);
    assert!(rates[16..].iter().rev().is_sorted());
    assert!(rates[79] > 0.01 && rates[79] < 0.012, "{}", rates[79]);
    // A step past the end, as a prolonged run takes it, stays at the final rate.
    assert!((cosine.rate(1.0, 200, 8, 80) - 0.01).abs() < 1e-12);

    let steps: ScheduleConfig = toml::from_str("kind = 'multi-step'\nmilestones = [4]\nwarmup_epochs = 1").unwrap();
    assert!((steps.rate(1.0, 0, 8, 80) - 0.125).abs() < 1e-12);
    assert!((steps.rate(1.0, 31, 8, 80) - 1.0).abs() < 1e-12 && (steps.rate(1.0, 32, 8, 80) - 0.1).abs() < 1e-12);
}

#[test]
fn the_papers_schedules_drop_where_they_say() {
    // The comparison on FER2013: 28,709 pictures, 32 a batch; epochs from 1.
    let comparison: ScheduleConfig = toml::from_str("kind = 'multi-step'\nmilestones = [15, 30]").unwrap();
    let steps = 28_709_usize.div_ceil(32);
    for (epoch, wanted) in [(1, 1e-3), (15, 1e-3), (16, 1e-4), (30, 1e-4), (31, 1e-5), (40, 1e-5)] {
        for step in [(epoch - 1) * steps, epoch * steps - 1] {
            let found = comparison.rate(1e-3, step, steps, 40 * steps);
            assert!((found - wanted).abs() < 1e-15, "epoch {epoch}: {found}");
        }
    }
    // TransFER on AffectNet: 20,000 steps whatever an epoch is.
    let text = "kind = 'multi-step'\nmilestones = [9600, 19200]\nper = 'step'";
    let affectnet: ScheduleConfig = toml::from_str(text).unwrap();
    for (step, wanted) in [(0, 3e-4), (9_599, 3e-4), (9_600, 3e-5), (19_199, 3e-5), (19_200, 3e-6), (19_999, 3e-6)] {
        let found = affectnet.rate(3e-4, step, 1_110, 20_000);
        assert!((found - wanted).abs() < 1e-15, "step {step}: {found}");
    }
}

#[test]
fn the_polynomials_of_involution_and_vision_transformer() {
    // SFEW: 607 pictures, 8 a batch, gradients of two batches a step; 50 epochs.
    let steps = 607_usize.div_ceil(8).div_ceil(2);
    assert_eq!(steps, 38);
    let plain: ScheduleConfig = toml::from_str("kind = 'polynomial'\npower = 0.9\nper = 'epoch'").unwrap();
    let compound: ScheduleConfig = toml::from_str("kind = 'polynomial-compound'").unwrap();
    let factor = |schedule: &ScheduleConfig, epoch: usize| {
        let [first, last] =
            [(epoch - 1) * steps, epoch * steps - 1].map(|step| schedule.rate(1.0, step, steps, 50 * steps));
        assert!((first - last).abs() < 1e-15, "one rate for an epoch");
        first
    };
    for epoch in [1, 2, 26, 50] {
        let wanted = (1.0 - (epoch - 1) as f64 / 50.0).powf(0.9);
        assert!((factor(&plain, epoch) - wanted).abs() < 1e-12, "epoch {epoch}");
    }
    for (epoch, wanted, within) in [
        (1, 1.0, 1e-12),
        (2, 0.970, 5e-4),
        (3, 0.917, 5e-4),
        (6, 0.66, 5e-3),
        (11, 0.227, 5e-4),
        (16, 0.039, 5e-4),
        (21, 0.003, 5e-4),
        (26, 1e-4, 5e-5),
    ] {
        let found = factor(&compound, epoch);
        assert!((found - wanted).abs() < within, "epoch {epoch}: {found}");
    }
}

#[test]
fn a_run_that_ends_early_spends_its_whole_schedule() {
    // Three and a half epochs of eight steps.
    let cosine: ScheduleConfig = toml::from_str("kind = 'cosine'").unwrap();
    assert!((cosine.rate(1.0, 14, 8, 28) - 0.5).abs() < 1e-12 && cosine.rate(1.0, 28, 8, 28).abs() < 1e-12);
    let between: ScheduleConfig = toml::from_str("kind = 'cosine'\nper = 'epoch'").unwrap();
    assert!((between.rate(1.0, 16, 8, 28) - 0.5).abs() < 1e-12, "half of four epochs");
}

#[test]
fn recipes_reject_what_they_do_not_know() {
    assert!(toml::from_str::<ScheduleConfig>("kind = 'cosine'\nwarmup = 2").is_err());
    assert!(toml::from_str::<ScheduleConfig>("kind = 'one-cycle'").is_err());
    assert!(toml::from_str::<ScheduleConfig>("kind = 'multi-step'").is_err());
    let default = ScheduleConfig::default();
    assert!((default.rate(0.3, 17, 5, 10) - 0.3).abs() < 1e-15);
}
