package retention

import "github.com/ami-janitor/ami-janitor/pkg/ami"

// BinDays says for how many days the Recycle Bin retains an image and a snapshot whose removal is
// declared, and that have no other tag; 0 if it does not take it in.
func BinDays(bin ami.RecycleBin) (images, snapshots int) {
	return daysInBin(bin, ofImages, nil), daysInBin(bin, ofSnapshots, nil)
}

// BinGap says why nothing is removed in a region with such a Recycle Bin; empty if it does not
// stand in the way.
func (p Policy) BinGap(bin ami.RecycleBin) string { return p.findBinGap(bin) }
