//! Code generation and runtime agree on the features of CPUs.

#[test]
fn the_runtime_can_look_for_every_feature_that_code_may_use() {
    let names = mlcc_llvm::Target::names().filter(|name| !["x86-64", "x86-64-v2"].contains(name));
    let targets = names.chain(["host"]).map(|name| mlcc_llvm::Target::named(name).expect(name));
    for target in targets {
        let unknown = |f: &&String| !mlcc_runtime::is_known_feature(&target.triple, f);
        let unknown: Vec<_> = target.features.iter().filter(unknown).collect();
        assert!(!target.features.is_empty() && unknown.is_empty(), "{}: {unknown:?}", target.cpu);
    }
}
