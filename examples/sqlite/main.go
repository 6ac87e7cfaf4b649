// Command sqlite creates a database file, fills it and queries it, through go-sqlite3: a cgo module
// whose C part is the whole of SQLite, and which fails at run time if it was built without cgo.
package main

import (
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	_ "github.com/mattn/go-sqlite3"
)

func main() {
	log.SetFlags(0)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	dir, err := os.MkdirTemp("", "sqlite")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite3", filepath.Join(dir, "example.db"))
	if err != nil {
		return err
	}
	defer db.Close()
	if _, err := db.Exec(`create table numbers (n integer, name text)`); err != nil {
		return err
	}
	for n := 1; n <= 100; n++ {
		if _, err := db.Exec(`insert into numbers values (?, ?)`, n, fmt.Sprint(n)); err != nil {
			return err
		}
	}
	var version string
	var rows, sum int
	err = db.QueryRow(`select sqlite_version(), count(*), sum(n) from numbers`).Scan(&version, &rows, &sum)
	if err != nil {
		return err
	}
	fmt.Printf("sqlite %s: %d rows, sum %d\n", version, rows, sum)
	return nil
}
