// Package migration has the calls of docs/migration.md, the old ones beside the new
// ones, so that they compile and do what the page says. All of it is in the tests.
package migration
