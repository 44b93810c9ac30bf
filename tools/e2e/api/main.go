// Command api serves the simulated API until it is killed: api ADDRESS KEY.
package main

import (
	"log"
	"net/http"
	"os"
	"time"

	"github.com/petra-exporter/petra_exporter/petra/petratest"
)

func main() {
	api := petratest.NewAPI(petratest.Demo(time.Now()), petratest.Options{Keys: os.Args[2:]})
	server := http.Server{Addr: os.Args[1], Handler: api, ReadHeaderTimeout: time.Minute}
	log.Fatal(server.ListenAndServe())
}
