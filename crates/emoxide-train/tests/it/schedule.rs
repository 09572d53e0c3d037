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
            let found = case.config.rate(fixture.base_rate, step, steps, epochs);
            assert!((found - wanted).abs() < 1e-12, "{:?} at step {step}: {found} for {wanted}", case.config);
            largest = largest.max((found - wanted).abs());
        }
    }
    println!("schedules: largest difference from PyTorch {largest:e} over {} cases", fixture.cases.len());
    assert_eq!(fixture.cases.len(), 8);
}

#[test]
fn warmup_rises_linearly_to_the_full_rate() {
    let constant: ScheduleConfig = toml::from_str("kind = 'constant'\nwarmup_epochs = 0.5").unwrap();
    let rates: Vec<_> = (0..6).map(|step| constant.rate(0.8, step, 8, 10)).collect();
    for (found, wanted) in rates.iter().zip([0.2, 0.4, 0.6, 0.8, 0.8, 0.8]) {
        assert!((found - wanted).abs() < 1e-12, "{rates:?}");
    }

    let cosine: ScheduleConfig = toml::from_str("kind = 'cosine'\nwarmup_epochs = 2\nfinal_rate = 0.01").unwrap();
    let rates: Vec<_> = (0..80).map(|step| cosine.rate(1.0, step, 8, 10)).collect();
    assert!(rates[..16].is_sorted() && (rates[15] - 1.0).abs() < 1e-12 && (rates[16] - 1.0).abs() < 1e-12);
    assert!(rates[16..].iter().rev().is_sorted());
    assert!(rates[79] > 0.01 && rates[79] < 0.012, "{}", rates[79]);
    // A step past the end, as a prolonged run takes it, stays at the final rate.
    assert!((cosine.rate(1.0, 200, 8, 10) - 0.01).abs() < 1e-12);

    let steps: ScheduleConfig = toml::from_str("kind = 'multi-step'\nmilestones = [4]\nwarmup_epochs = 1").unwrap();
    assert!((steps.rate(1.0, 0, 8, 10) - 0.125).abs() < 1e-12);
    assert!((steps.rate(1.0, 31, 8, 10) - 1.0).abs() < 1e-12 && (steps.rate(1.0, 32, 8, 10) - 0.1).abs() < 1e-12);
}

#[test]
fn recipes_reject_what_they_do_not_know() {
    assert!(toml::from_str::<ScheduleConfig>("kind = 'cosine'\nwarmup = 2").is_err());
    assert!(toml::from_str::<ScheduleConfig>("kind = 'one-cycle'").is_err());
    assert!(toml::from_str::<ScheduleConfig>("kind = 'multi-step'").is_err());
    let default = ScheduleConfig::default();
    assert!((default.rate(0.3, 17, 5, 2) - 0.3).abs() < 1e-15);
}
