module github.com/petra-exporter/petra_exporter/tools/backfill

go 1.26.0

replace github.com/petra-exporter/petra_exporter => ../..

require github.com/petra-exporter/petra_exporter v0.0.0-00010101000000-000000000000
