// Package simulation tests the promises on entire runs: the real pipeline and the real SDK clients,
// against an emulated account in process, in the fake time of testing/synctest. Everything is drawn
// from one seed: the resources of the account, the operator's configuration, and the faults of each
// night. It contains only tests.
package simulation
