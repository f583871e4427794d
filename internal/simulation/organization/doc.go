// Package organization tests the promises on runs over an organization: the real steps and the real
// SDK clients, against an emulated organization in process, in the fake time of testing/synctest.
// Everything is drawn from one seed: the accounts, their images, who uses them, and the faults of
// each night. It contains only tests.
package organization
