"""What a program calls: report_metrics in a trial; synchronous outside, and light to import."""
