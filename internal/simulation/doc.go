// Package simulation proves the promises on whole runs: the real pipeline and the real SDK clients, against an emulated
// account in process, in the fake time of testing/synctest. All that happens is drawn from one seed: what the account
// holds, what the operator wants, and what goes wrong in which night. Nothing but tests is here.
package simulation
